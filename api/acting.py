"""Somebody acting in a tenant under one permission: who they are, what they may, and how they change or read things.

Permission and tenant arrive together, as the type of a parameter (`api/permitted.py`), so a handler can forget neither.
"""

import copy
import os
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from fastapi import Request, Response
from msgspec import Struct

from api.http import problems
from api.http.etags import etag, parse_condition
from api.http.headers import PositionToken
from domain.access.check import DEPLOYMENT_PERMISSIONS, TENANT_PERMISSIONS, Decision, decide_access
from domain.access.handing import Giver, Handing, objection
from domain.boundary import Expectation, Item
from domain.command import Command
from domain.directory.users import Unique
from domain.event import Event, Recorded, Sealed
from domain.ids import DEPLOYMENT, TenantId, id_from
from domain.ledger import Actor, Authority, AuthorityChanged, Caller, Idempotency, NewKeys, Outcome, Query
from domain.view import Moment, Versioned, View

if TYPE_CHECKING:
    from adapters.resident import ResidentTenant
    from api.wiring import Node
    from domain.access.credentials import Credential

R = TypeVar("R", bound=Struct)
MOST_ATTEMPTS: Final = 3
MOST_EVENTS: Final = 100_000
RETRIES: Final = "retries-key"
"""The purpose of the key that hashes idempotency keys."""


class Origin(Struct):
    """From where a request came: sealed under its actor's key."""

    address: str
    user_agent: str
    route: str


_ORIGIN: Final = msgspec.json.Encoder()


class Acting:
    """A caller that was let in: by which credential, in which tenant, for what."""

    def __init__(
        self,
        node: "Node",
        request: Request,
        response: Response,
        credential: "Credential",
        tenant: TenantId,
        permission: str,
        decision: Decision,
    ) -> None:
        self.node = node
        self.tenant = tenant
        self.credential = credential
        self.keys = NewKeys()
        self._request = request
        self._response = response
        self._permission = permission
        self._decision = decision
        self._decision_id = id_from("dec", node.clock(), os.urandom(10))
        self._idempotency: Idempotency | None = None
        self._handing: Callable[[], Handing] | None = None
        self._handed: tuple[Expectation, ...] = ()
        """What must not have happened, so that what is handed on is still what was judged."""

    def new_id(self, prefix: str) -> str:
        return id_from(prefix, self.node.clock(), os.urandom(10))

    def new_subject(self, prefix: str) -> str:
        """A fresh id, with a data key of its own."""
        subject = self.new_id(prefix)
        self.node.keyring.new_subject(self.keys, self.tenant, subject)
        return subject

    def seal(self, subject: str, field: str, value: str) -> Sealed:
        return self.node.keyring.seal(self.keys, self.tenant, subject, field, value)

    def seal_if(self, subject: str, field: str, value: str | None) -> Sealed | None:
        return None if value is None else self.seal(subject, field, value)

    def unique(self, subject: str, field: str, value: str, compared: str, scope: str = "") -> Unique:
        """A value that nobody else may have; `compared` is the form in which it is the same as another."""
        handle = self.node.keyring.handle(self.keys, self.tenant, field + scope, compared)
        return Unique(self.seal(subject, field, value), handle)

    def open(self, field: str, sealed: Sealed | None) -> str | None:
        """The value; None if there is none, or its key is destroyed."""
        return None if sealed is None else self.node.keyring.unseal(self.tenant, field, sealed)

    def retries_are(self, key: str, body: bytes) -> None:
        """Recognise retries: the same key of the same actor, and the same method, address and body.

        Hashed with keys of the tenant: a body can hold anything, so the key of its hash is destroyed after some days.
        """
        whole = sha256(f"{self._request.method} {self._request.url.path}\n".encode())
        whole.update(body)
        blind, now, before = self.node.keyring.blind, *self.node.retry_days()
        hashed = [blind(self.keys, self.tenant, purpose, whole.hexdigest()) for purpose in (now, before)]
        named = blind(self.keys, self.tenant, RETRIES, f"{self.credential.actor_id}\n{key}")
        self._idempotency = Idempotency(bytes.fromhex(named), *(bytes.fromhex(each) for each in hashed))

    @property
    def tenant_permissions(self) -> frozenset[str]:
        return TENANT_PERMISSIONS

    @property
    def all_permissions(self) -> frozenset[str]:
        """Those that mean something to Muniment; a role may also have the product's own."""
        return TENANT_PERMISSIONS | DEPLOYMENT_PERMISSIONS

    async def hands_on(self, handing: Callable[[], Handing]) -> None:
        """Raises NotPermitted if the caller may not give this away, now or by what changes before it is recorded."""
        self._handing = handing
        await self._may_hand_on()

    async def _may_hand_on(self) -> None:
        if self._handing is None:
            return
        head, own, handing = self.node.feed.head(self.tenant), self.credential, self._handing()
        self._handed = tuple(Expectation(item, head) for item in handing.depends)
        giver = Giver(own.subject, own.actor_id, self._permission, own.expires_at, own.former)
        if because := objection(giver, handing, self.all_permissions, self.node.clock()):
            await self.refuse(because)

    async def execute(self, command: Command, expects: Iterable[Expectation] = ()) -> Outcome:
        """Decide and record, under an authority that is asked again if it has changed meanwhile."""
        outcome = await self._recorded(command, tuple(expects), MOST_ATTEMPTS)
        self._response.headers["Muniment-Position"] = str(PositionToken(outcome.tenant, outcome.position))
        return outcome

    async def _recorded(self, command: Command, expects: tuple[Expectation, ...], attempts: int) -> Outcome:
        try:
            return await self.node.ledger.execute(command, self.as_caller(), expects=expects, keys=self.keys)
        except AuthorityChanged:
            if attempts == 1:
                raise
            self._decide_again()
            await self._may_hand_on()
            return await self._recorded(command, expects, attempts - 1)

    async def refuse(self, reason: str) -> None:
        """Record that the caller may not do this, and say so; raises NotPermitted."""
        await self.node.ledger.refuse(self._permission, self.as_caller(), reason, keys=self.keys)

    def inside(self, tenant: TenantId) -> "Acting":
        """The same caller in another tenant, with keys of its own; for operators."""
        other = copy.copy(self)
        other.tenant, other.keys, other._idempotency = tenant, NewKeys(), None
        return other

    def in_deployment(self) -> "Acting":
        return self.inside(DEPLOYMENT)

    def without_key(self) -> "Acting":
        """For the further commands of a request whose idempotency key its first one has."""
        other = copy.copy(self)
        other._idempotency = None
        return other

    def answer_position(self, position: int) -> None:
        """The position that the answer speaks of, where several tenants were written to."""
        self._response.headers["Muniment-Position"] = str(PositionToken(self.tenant, position))

    def header(self, name: str) -> str | None:
        return self._request.headers.get(name)

    def still_permitted(self) -> None:
        """For what goes on for long: raises Problem 401 or 403 once the caller may not any more."""
        self._decide_again()

    def is_permitted(self) -> bool:
        """Whether the caller still may: for streams, which can only end."""
        try:
            self._decide_again()
        except problems.Problem:
            return False
        return True

    def _decide_again(self) -> None:
        self.credential = self.node.authenticate(self._request)
        self._decision = decide_access(self.credential.subject, self._permission, self.node.clock())
        if not self._decision.allowed:
            raise problems.forbidden(self._decision.because)

    def as_caller(self) -> Caller:
        """Who asks, as the ledger is told."""
        credential = self.credential
        authority = Authority(
            permission=self._permission,
            decision=self._decision_id,
            policies=self._decision.policies,
            position=self.node.feed.head(self.tenant),
            holds=credential.holds + self._handed,
        )
        actor = credential.actor_id
        request = self._request
        address = request.client.host if request.client else ""
        origin = _ORIGIN.encode(
            Origin(address, request.headers.get("user-agent", "")[:500], request.scope["route"].path)
        ).decode()
        keyring = self.node.keyring
        return Caller(
            tenant=self.tenant,
            actor=Actor(credential.actor_kind, actor),
            authority=authority,
            correlation_id=request.state.correlation,
            credential=credential.id,
            idempotency=self._idempotency,
            request=keyring.seal(self.keys, self.tenant, actor, "request", origin),
            address=keyring.blind(self.keys, self.tenant, self.node.address_key(), address) if address else None,
        )

    def row_of(self, view: View[R], outcome: Outcome) -> R:
        """The row that a command's first event began."""
        first = Recorded(outcome.tenant, outcome.position, outcome.instant, outcome.events[0])
        row = view.evolve(None, first)
        if row is None:
            raise TypeError(f"{type(first.event).__name__} begins no row of {view.name}")
        return row

    def resident_row(self, view: View[R], key: str) -> R | None:
        """A row of a view that is kept in memory, as of now."""
        row: R | None = resident(self.node, self.tenant).rows.rows[view.name].get(key)
        return row

    def etag_of(self, since: int) -> None:
        """Give the answer its ETag."""
        self._response.headers["ETag"] = str(etag(since, self.node.keyring.epoch))

    def current(self, view: View[R], tag: str, key: str, what: str) -> Versioned[R]:
        """As `find`; raises Problem 404."""
        found = self.find(view, tag, key)
        if found is None:
            raise problems.not_found(f"the {what} does not exist")
        return found

    def find(self, view: View[R], tag: str, key: str) -> Versioned[R] | None:
        """A row as of now, folded from the ledger itself; for rows whose every event states all that it changes.

        Writing needs no stored view this way.
        """
        types = tuple(each.__name__ for each in view.follows)
        return _folded(view, key, self.node.history.latest(self.tenant, tag, types))

    def past(self, view: View[R], tag: str, key: str, position: int) -> Versioned[R] | None:
        """The row as of a position: what the first answer to a retry showed."""
        query = Query(tags=(tag,), types=tuple(each.__name__ for each in view.follows), until=position)
        return _folded(view, key, self.node.history.recorded(self.tenant, query, MOST_EVENTS))

    def version(self, tag: str, types: Iterable[type[Event]]) -> Item:
        """What would make a row a newer version."""
        return Item((tag,), tuple(types))

    def expects_unchanged(self, tag: str, types: Iterable[type[Event]]) -> tuple[Expectation, ...]:
        """What If-Match asks for; nothing without the header. Raises Problem 412 for tags that can't be current."""
        header = self._request.headers.get("if-match")
        if header is None:
            return ()
        condition = parse_condition(header)
        versions = condition.versions()
        if versions is None:
            return ()
        newest = max((each.position for each in versions if each.epoch == self.node.keyring.epoch), default=None)
        if newest is None:
            raise problems.precondition_failed()
        return (Expectation(Item((tag,), tuple(types)), newest),)


class Reading(Acting):
    """Somebody who reads, as of a moment; every answer says of which."""

    at: Moment
    as_of: bool = False

    def moment_in(self, tenant: TenantId) -> Moment:
        """The same instant in another tenant's history."""
        if tenant == self.tenant:
            return self.at
        return Moment(self.node.history.position_at(tenant, self.at.instant), self.at.instant)

    async def get(self, view: View[R], key: str) -> Versioned[R] | None:
        return await self.node.views.get(view, self.tenant, key, self.at)

    async def must_get(self, view: View[R], key: str, what: str) -> Versioned[R]:
        """Raises Problem 404."""
        found = await self.get(view, key)
        if found is None:
            raise problems.not_found(f"the {what} does not exist" + (" at that moment" if self.as_of else ""))
        return found


def _folded(view: View[R], key: str, events: Iterable[Recorded]) -> Versioned[R] | None:
    row: R | None = None
    since = 0
    for recorded in events:
        row, since = view.evolve(row, recorded), recorded.position
    return None if row is None else Versioned(key, since, row)


def resident(node: "Node", tenant: TenantId) -> "ResidentTenant":
    """The tenant in memory, as new as its head."""
    return node.residents.tenant(tenant, node.feed.head(tenant))
