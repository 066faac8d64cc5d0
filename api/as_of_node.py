"""A read-only node of a past moment, on the folder of a node that may be running: nothing is copied, nothing written.

The log is opened for reading, its histories end where they ended then, the clock stands still there, and views are
folded when they are asked for. Whoever reads is let in by a key that this process makes and tells once: a key of then
may be stolen since, and one of now may open what its holder was never meant to see.
"""

import asyncio
import hashlib
import os
import time
from collections.abc import Callable
from typing import Any, Final

from prometheus_client import CollectorRegistry

from adapters.feed import LocalFeed
from adapters.index.database import Database
from adapters.index.history import IndexHistory
from adapters.read_keyring import ReadKeyring
from adapters.resident import Residents, ResidentTenant
from adapters.snapshots import SnapshotFile
from api.bodies import time_text
from api.configuration import Configuration, ConfigurationError
from api.data_folder import DataFolder
from api.http.moments import AtInstant, parse_moment
from api.http.paging import Cursors
from api.http.problems import CONFLICT, Problem
from api.kept_views import RESIDENT
from api.pages.sessions import Sessions
from api.permitted import credential_of
from api.read_only import NoAccesses, NoLedger, ReadOnly
from domain.access import secrets
from domain.access.check import Subject
from domain.access.credentials import Credential
from domain.event import Instant
from domain.ids import DEPLOYMENT, TenantId
from domain.ledger import History
from domain.view import StoredViews
from replay.folded import Folded
from replay.folded_views import FoldedViews
from replay.past import PastHistory

FORGETS: Final = 1.0
"""Seconds until a key that was destroyed elsewhere is forgotten here."""


class NotThen(Problem, AttributeError):
    """What a node of now has, and one of then has not."""


class _Partial:
    """Whatever is not named belongs to a node that writes, and asking for it is answered so."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise NotThen(CONFLICT, "a read-only node of a past moment does not tell this: ask a node of now")


class _Then(_Partial):
    """In the place of a log and its views: always ready, and never behind."""

    not_ready = None
    state = "current"


class _NoSecret:
    """A tenant in memory as it was, whose secrets open nothing here."""

    def __init__(self, tenant: ResidentTenant) -> None:
        self._tenant = tenant

    def credential(self, digest: bytes) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tenant, name)


class _OwnKeyOnly:
    """The residents of then, of whose secrets none is accepted; only this process's own is."""

    def __init__(self, residents: Residents, digest: bytes, credential: Credential) -> None:
        self._residents = residents
        self._digest = digest
        self._credential = credential

    def known(self, digest: bytes, at: int) -> Credential | None:
        return self._credential if digest == self._digest else None

    def check(self, secret: str, permission: str, at: int) -> None:
        return None

    def tenant(self, tenant: TenantId, head: int) -> Any:
        return _NoSecret(self._residents.tenant(tenant, head))


class AsOfNode(_Partial):
    """What handlers ask of a node (api.wiring.Node), as of an instant. What it has not is a problem that says so."""

    def __init__(self, configuration: Configuration, moment: str) -> None:
        if configuration.kafka is not None:
            raise ConfigurationError("a node of then is started on a folder with its own ledger: unset MUNIMENT_KAFKA")
        self.configuration = configuration
        self.folder = DataFolder(configuration.data)
        if not self.folder.ledger.exists():
            raise ConfigurationError(f"{self.folder.path} is no node's data folder: name one with --data")
        self._asked = moment
        self.metrics = CollectorRegistry()
        self.stopping = asyncio.Event()
        self.verifying = asyncio.Lock()
        self.on_erasure: list[Callable[[int], None]] = []
        self.url = f"http://{configuration.host}:{configuration.port}"
        self.columns = None
        self.inside = ((ReadOnly, {"node": self}),)
        self._forgetting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Raises ConfigurationError for a moment that is none, or has not come."""
        root_key, _ = self.folder.root_key_of(self.configuration)
        self._database = Database(self.folder.ledger, read_only=True)
        now = IndexHistory(self._database)
        self.instant = _instant(self._asked, now)
        self.as_of = time_text(self.instant)
        self.refusal = f"this node shows what was at {self.as_of} and changes nothing: ask a node of now"
        self.history: History = PastHistory(now, self.instant)
        self.keyring = ReadKeyring(self._database, root_key)
        self.feed = LocalFeed(lambda tenant: self.history.head(tenant)[0])
        self.ledger, self.accesses = NoLedger(self.refusal), NoAccesses()
        self.log = self.stored = _Then()
        self.snapshots = SnapshotFile(None, os.urandom(32), Folded)
        self.views: StoredViews = FoldedViews(self.history, self.snapshots)
        own = os.urandom(32)
        self.cursors = Cursors(hashlib.sha256(b"cursors|" + own).digest())
        self.sessions = Sessions(hashlib.sha256(b"console|" + own).digest(), self.clock)
        self.operator_key = secrets.make("opr", DEPLOYMENT, os.urandom(32))
        operator = Subject(frozenset(), operator=True)
        reader = Credential(DEPLOYMENT, "key_of_this_process", "operator", "opr_of_this_process", operator, ())
        residents = Residents(RESIDENT, self.history)
        self.residents = _OwnKeyOnly(residents, secrets.digest(self.operator_key), reader)
        self._forgetting = asyncio.get_running_loop().create_task(self._keep_forgetting())

    async def stop(self) -> None:
        self.stopping.set()
        if self._forgetting is not None:
            self._forgetting.cancel()
            await asyncio.gather(self._forgetting, return_exceptions=True)
            self.snapshots.close()
            self._database.close()

    def clock(self) -> int:
        """It stands still."""
        return self.instant

    def authenticate(self, request: Any) -> Credential:
        return credential_of(self, request)  # type: ignore[arg-type]

    def address_key(self) -> str:
        """Nothing that is made with it is ever recorded."""
        return "address-then"

    def retry_days(self) -> tuple[str, str]:
        return "retries-then", "retries-before"

    def scim_url(self, directory: str) -> str:
        return f"{self.configuration.public_url or self.url}/scim/v2/{directory}"

    def forget_destroyed(self) -> None:
        """What a node of now has erased since opens nothing here any more."""
        if self.keyring.forget_destroyed():
            for drop in self.on_erasure:
                drop(self.keyring.epoch)

    async def _keep_forgetting(self) -> None:
        while True:
            await asyncio.sleep(FORGETS)
            self.forget_destroyed()


def _instant(text: str, history: IndexHistory) -> Instant:
    """A time, or `TENANT:POSITION`. Raises ConfigurationError."""
    tenant, colon, position = text.partition(":")
    if colon and (tenant.startswith("ten_") or tenant == DEPLOYMENT) and position.isascii() and position.isdigit():
        try:
            return history.instant_of(TenantId(tenant), int(position))
        except KeyError:
            raise ConfigurationError("the tenant's history has no such position: name one that it has") from None
    try:
        moment = parse_moment(text)
    except Problem as problem:
        raise ConfigurationError(_WRITTEN) from problem
    if not isinstance(moment, AtInstant):
        raise ConfigurationError(_WRITTEN)
    if moment.instant > time.time_ns() // 1000:
        raise ConfigurationError("that moment has not come yet: name an earlier one")
    return Instant(moment.instant)


_WRITTEN: Final = "--as-of takes a time with an offset (2026-01-31T12:00:00Z), or TENANT:POSITION"
