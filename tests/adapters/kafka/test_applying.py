"""What was read of a partition becomes the rows that its writer wrote, and the index's files stay in bounds."""

import asyncio
import hashlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters.avro.codec import Body, encode_own, encode_shared, encode_tags, frame
from adapters.index.database import Database
from adapters.index.ring import RingChange
from adapters.kafka.applying import LEDGER, ROWS, WAL_PAGES, Applied, Applier
from adapters.kafka.commits import CommitRead, LogUnlike
from domain.event import Code
from domain.evidence.tree import leaf_hash
from domain.ids import TenantId
from domain.ledger import OpaqueRecorded
from tests.adapters.index.logs import HERE, META, THERE, fresh_key, note, running, work

TABLES = ("tenants", "types", "events", "postings", "commits")


def rows_of(database: Database, table: str) -> list[Any]:
    with database.reading() as connection:
        return sorted(connection.execute(f"SELECT * FROM {table}").fetchall())  # noqa: S608


def commits_of(database: Database) -> Iterator[CommitRead]:
    """The log of an index, as it would have been read."""
    with database.reading() as connection:
        commits = connection.execute("SELECT first, count, id, epoch, chain FROM commits ORDER BY first").fetchall()
        events = iter(
            connection.execute(
                "SELECT tenants.tenant, stored FROM events JOIN tenants ON number = events.tenant ORDER BY sequence"
            ).fetchall()
        )
    for first, count, id, epoch, chain in commits:
        tenants, stored = zip(*islice(events, count), strict=True)
        yield CommitRead(id, epoch, first, stored, tenants, [leaf_hash(each) for each in stored], chain, 0)


def apply(database: Database, commits: list[CommitRead], *, decode: bool = False) -> Applied:
    last = commits[-1].first + len(commits[-1].stored) - 1
    applier = Applier(database, lambda _: True)
    return applier.apply(commits, RingChange(), [], [(LEDGER, last, last + 1)], decode=decode)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "0.db", "0", disposable=True)
    yield database
    database.close()


async def written(folder: Path) -> tuple[list[CommitRead], dict[str, list[Any]]]:
    """What a writer commits of two tenants: alone, together, with keys for retries, and more than a statement holds."""
    async with running(folder) as log:
        await log.sequencer.execute(work(note(b"one", "seat:1", "seat:2"), idempotency=fresh_key()))
        several = [work(note(b"each", f"seat:{each}"), tenant=(HERE, THERE)[each % 2]) for each in range(20)]
        await asyncio.gather(*map(log.sequencer.execute, several))
        many = [note(b"%d" % each, "seat:1", f"row:{each}") for each in range(2 * ROWS + 7)]
        await log.sequencer.execute(work(*many, idempotency=fresh_key()))
        return list(commits_of(log.database)), {table: rows_of(log.database, table) for table in TABLES}


@pytest.mark.parametrize("at_once", [1, 2, 100])
async def test_the_rows_are_those_that_the_writer_wrote(tmp_path: Path, index: Database, at_once: int) -> None:
    commits, rows = await written(tmp_path)
    for start in range(0, len(commits), at_once):
        apply(index, commits[start : start + at_once])
    assert {table: rows_of(index, table) for table in TABLES} == rows
    assert rows_of(index, "streams") == [(LEDGER, len(rows["events"]), len(rows["events"]) + 1)]


async def test_it_says_how_far_the_tenants_have_come_and_what_happened(tmp_path: Path, index: Database) -> None:
    commits, rows = await written(tmp_path)
    applied = apply(index, commits, decode=True)
    heads = {TenantId(tenant): position for _, tenant, position, _, _ in rows["tenants"]}
    assert applied.sequence == len(rows["events"])
    assert applied.heads == heads
    assert [each.position for each in applied.recorded if each.tenant == HERE] == list(range(1, heads[HERE] + 1))


async def test_a_gap_leaves_no_trace(tmp_path: Path, index: Database) -> None:
    commits, _ = await written(tmp_path)
    applier = Applier(index, lambda _: True)
    applier.apply(commits[:1], RingChange(), [], [], decode=False)
    with pytest.raises(LogUnlike, match="goes on at position"):
        applier.apply(commits[2:], RingChange(), [], [], decode=False)
    assert len(rows_of(index, "commits")) == 1
    applied = applier.apply(commits[1:], RingChange(), [], [], decode=False)
    assert len(rows_of(index, "commits")) == len(commits)
    assert applied.sequence == commits[-1].first + len(commits[-1].stored) - 1


def test_the_write_ahead_log_stays_short_while_a_partition_is_followed(index: Database, tmp_path: Path) -> None:
    applier, chain, first, size = Applier(index, lambda _: True), bytes(32), 1, 60_000
    page = 4096
    while (first - 1) * size < 4 * WAL_PAGES * page:
        stored = [_stored(first + each, size) for each in range(100)]
        leaves = [leaf_hash(each) for each in stored]
        chain = hashlib.sha256(b"".join((chain, *leaves))).digest()
        read = CommitRead(bytes(16), 1, first, stored, [HERE] * len(stored), leaves, chain, 0)
        applier.apply([read], RingChange(), [], [], decode=False)
        first += len(stored)
    assert (tmp_path / "0.db-wal").stat().st_size < 2 * WAL_PAGES * page


def _stored(position: int, size: int) -> bytes:
    meta = msgspec.structs.replace(META, command_id=f"cmd_{position:032x}")
    body = Body(encode_shared(meta), encode_own(OpaqueRecorded(Code("noted"), bytes(size))), encode_tags([]))
    return frame(OpaqueRecorded, position, 1_800_000_000_000_000, [], "", body).stored
