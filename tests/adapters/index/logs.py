"""A real embedded log to test with, on a file or in memory, and commands that record what a test gives them."""

import os
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from adapters.embedded.log import embedded_sequencer
from adapters.embedded.tail import TailFile
from adapters.fresh_ids import new_id
from adapters.index.database import Database
from adapters.index.history import IndexHistory
from adapters.index.recorder import OpaqueGiven
from adapters.keyring import Keyring
from domain.boundary import Boundary, Expectation, Item, Tally
from domain.command import Known, Refused
from domain.directory.life import UserDeactivated
from domain.event import Code, Event, Instant, Meta, Recorded
from domain.ids import TenantId, UserId
from domain.ledger import Idempotency, NewKeys, OpaqueRecorded, Outcome, Query, Work

ROOT_KEY = bytes(range(32))
HERE = TenantId("ten_" + "1" * 32)
THERE = TenantId("ten_" + "2" * 32)
NOTHING = Boundary()
SOMEBODY = UserId("usr_" + "3" * 32)

META = Meta(
    event_id="",
    actor_kind="operator",
    actor_id="opr_1",
    on_behalf_of=(),
    credential_id=None,
    authority_permission="",
    authority_decision="",
    authority_policies=(),
    authority_position=0,
    command_id="",
    causation_id=None,
    correlation_id="test",
    idempotency_key=None,
    idempotency_body=None,
    request=None,
    request_address=None,
    tags=(),
)


def now() -> int:
    return time.time_ns() // 1000


class Clock:
    """Goes when it is told."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000_000

    def __call__(self) -> Instant:
        return Instant(self.now)

    def go_on(self, *, hours: int = 0, seconds: int = 0) -> None:
        self.now += (hours * 3600 + seconds) * 1_000_000


class Log:
    """The parts of a node that write."""

    def __init__(self, folder: Path | None, clock: Callable[[], int] = now, **options: Any) -> None:
        self.database = Database(folder / "ledger.db" if folder else None)
        try:
            self.keyring = Keyring(self.database, ROOT_KEY)
            self.tail = TailFile(folder / "ledger.tail") if folder else None
            self.sequencer = embedded_sequencer(self.database, self.keyring, self.tail, clock, **options)
        except BaseException:
            self.database.close()
            raise
        self.history = IndexHistory(self.database)

    async def close(self) -> None:
        await self.sequencer.stop()
        if self.tail:
            self.tail.close()
        self.database.close()

    def events(self, tenant: TenantId = HERE) -> list[Event]:
        return [each.event for each in self.history.recorded(tenant, Query(), 1_000_000)]

    def said(self, tenant: TenantId = HERE) -> list[bytes]:
        """What the tenant's opaque events hold."""
        return data_of(self.events(tenant))

    def count(self, table: str) -> int:
        (found,) = self.database.one(f"SELECT count(*) FROM {table}", ())  # noqa: S608
        return int(found)


Open = Callable[..., AbstractAsyncContextManager[Log]]
"""Opens the log of a test, with the options of Log."""


@asynccontextmanager
async def running(folder: Path | None, clock: Callable[[], int] = now, **options: Any) -> AsyncIterator[Log]:
    log = Log(folder, clock, **options)
    log.sequencer.start()
    try:
        yield log
    finally:
        await log.close()


def note(data: bytes = b"", *tags: str, type: str = "noted") -> OpaqueGiven:
    """An event that says just this."""
    return OpaqueGiven(Code(type), data, tags)


class Seen(Known):
    """Every event that a boundary showed."""

    def __init__(self, instant: Instant) -> None:
        super().__init__(instant)
        self.recorded: list[Recorded] = []

    def evolve(self, recorded: Recorded) -> None:
        self.recorded.append(recorded)


def work(
    *events: Event,
    tenant: TenantId = HERE,
    boundary: Boundary = NOTHING,
    decide: Callable[[Seen], list[Event]] | None = None,
    expects: tuple[Expectation, ...] = (),
    holds: tuple[Expectation, ...] = (),
    idempotency: Idempotency | None = None,
    keys: NewKeys | None = None,
) -> Work:
    """A command that records these, or what `decide` says."""
    meta = msgspec.structs.replace(
        META,
        command_id=new_id("cmd"),
        idempotency_key=idempotency.key if idempotency else None,
        idempotency_body=idempotency.body if idempotency else None,
    )
    return Work(
        tenant,
        boundary,
        lambda _: Boundary(),
        Seen,
        decide or (lambda _: list(events)),
        meta,
        expects=expects,
        holds=holds,
        idempotency=idempotency,
        keys=keys,
    )


def latest(tag: str, *types: str) -> Boundary:
    return Boundary((Item((tag,), tuple("opaque:" + each for each in types or ("noted",))),))


def taking(seat: str, who: bytes, **options: Any) -> Work:
    """A command that takes a seat unless somebody has it."""

    def decide(seen: Seen) -> list[Event]:
        if seen.recorded:
            raise Refused("the seat is taken")
        return [note(who, f"seat:{seat}")]

    return work(boundary=latest(f"seat:{seat}"), decide=decide, **options)


def counting() -> Work:
    """A command that says how often it was asked before, which a tally tells it."""

    def count(state: list[int], _: Recorded) -> None:
        state[0] += 1

    def decide(seen: Seen) -> list[Event]:
        return [UserDeactivated(SOMEBODY), note(b"%d" % seen.tallies["times"][0])]

    tally = Tally("times", f"user:{SOMEBODY}", (UserDeactivated,), lambda: [0], count)
    return work(boundary=Boundary(tallies=(tally,)), decide=decide)


def fresh_key() -> Idempotency:
    return Idempotency(os.urandom(16), os.urandom(16))


async def room(log: Log, pages: int | None) -> None:
    """Let the file grow by so many pages and no more; None lifts the limit."""
    await log.sequencer.exclusively(lambda connection: _limit(connection, pages))


def _limit(connection: Any, pages: int | None) -> None:
    (size,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {1 << 30 if pages is None else size + pages}")


def answered(outcomes: list[Outcome | BaseException]) -> list[Outcome]:
    return [each for each in outcomes if isinstance(each, Outcome)]


def data_of(events: Iterable[Event]) -> list[bytes]:
    """What opaque events hold."""
    return [event.data for event in events if isinstance(event, OpaqueRecorded)]
