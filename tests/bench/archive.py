"""The archive: taking in against the writer, and searching years of it against DuckDB on the same files."""

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Final

import duckdb
import msgspec
import pyarrow as pa
import uvloop

from adapters.archive.archive import Archive
from adapters.archive.columns import ARCHIVED, SEARCHED
from adapters.archive.folder import FolderStorage
from adapters.archive.manifest import Reached, file_key
from adapters.archive.parquet import FileWriter
from adapters.archive.shelf import month_ends
from adapters.index.history import IndexHistory
from domain.event import Instant
from domain.evidence.tree import Frontier
from domain.ids import TenantId
from tests.bench.office import Office, clock, rate
from tests.bench.table import Row, versus

ROUNDS: Final = 7
CHANGES: Final = 4_000
PEOPLE: Final = 2_000
EVENTS: Final = 10_000_000
APART: Final = 3_000_000
"""Microseconds between fabricated events: ten million last for most of a year."""
FIRST_AT: Final = 1_735_689_600_000_000
IN_FILE: Final = 524_288
ACME: Final = TenantId("ten_" + "a" * 32)
_COLUMNS: Final = ", ".join(SEARCHED.names)
_ASKED: Final = "WHERE actor_id = ? AND recorded_at >= make_timestamptz(?) AND recorded_at < make_timestamptz(?)"
_LAST: Final = " ORDER BY position DESC LIMIT 100"
_OF_VIEW: Final = (
    f"SELECT {_COLUMNS} FROM events WHERE position IN (SELECT position FROM events {_ASKED}{_LAST}) "  # noqa: S608
    "ORDER BY position DESC"
)
_FABRICATED: Final = """
    SELECT n AS position, make_timestamptz($first + n * $apart) AS recorded_at, md5('e' || n) AS event_id,
        ['UserProfileChanged', 'MemberAdded', 'RoleAssigned', 'ApiKeyIssued'][1 + n * 7919 % 4] AS type,
        'user' AS actor_kind, 'usr_' || md5('a' || (n * 7919 % 20_011)) AS actor_id, []::VARCHAR[] AS on_behalf_of,
        'key_' || md5('a' || (n * 7919 % 20_011)) AS credential, 'users:manage' AS permission,
        'dec_' || md5('d' || n) AS decision, ['rol_owner'] AS policies, n - 1 AS authority_position,
        'cmd_' || md5('c' || n) AS command, NULL::VARCHAR AS causation, 'cor_' || md5('r' || n) AS correlation,
        ['actor:usr_' || md5('a' || (n * 7919 % 20_011)),
            'user:usr_' || md5('u' || (n * 104_729 % 100_003))] AS tags,
        [n // 20_000, n // 100_000] AS nth, 11::INTEGER AS schema_id, unhex(repeat(sha256('s' || n), 8)) AS stored
    FROM range($start, $end) numbers(n)
"""


def rows(folder: Path) -> Iterator[Row]:
    yield from uvloop.run(_writing(folder / "office"))
    yield from searching(folder / "years", EVENTS)


async def _writing(folder: Path) -> list[Row]:
    """In turn: the writer writes, and what it wrote is archived."""
    office = Office(folder)
    await office.open()
    await rate(office.provision, 0, PEOPLE)
    history = IndexHistory(office.database)
    archive = Archive(FolderStorage(folder / "archive"), folder / "local", history, clock)
    archive.take_in(office.tenant)
    written, archived, verified = [], [], []
    for number in range(ROUNDS):
        written.append(await rate(office.change, number * CHANGES, CHANGES))
        began = time.perf_counter()
        _, new = archive.take_in(office.tenant)
        taken = time.perf_counter()
        found = archive.verify(office.tenant, after=archive.status(office.tenant).last - new)
        archived.append(new / (taken - began))
        verified.append(found.events / (time.perf_counter() - taken))
    began = time.perf_counter()
    archive.compact(office.tenant)
    compacted = archive.status(office.tenant).last / (time.perf_counter() - began)
    await office.close()
    against = f"the writer: {median(written):,.0f} commands/s"
    return [
        Row("archive writing", median(archived), "events/s", against, versus(archived, written), "≥ 2"),
        Row("verifying an archive against its log", median(verified), "events/s"),
        Row("merging its files", compacted, "events/s"),
    ]


def searching(folder: Path, events: int) -> Iterator[Row]:
    """By actor and time over so many archived events: the newest hundred of a month."""
    archive, paths = fabricated(folder, events)
    names = ", ".join(f"'{each}'" for each in paths)
    ours, theirs, found = [], [], []
    middle = FIRST_AT + events * APART // 2
    for number in range(ROUNDS):
        with duckdb.connect() as plain:
            (actor,) = plain.execute("SELECT 'usr_' || md5('a' || ?)", [number * 997]).fetchall()[0]
            asked = [actor, middle, middle + 30 * 86_400_000_000]
            began = time.perf_counter()
            expected = plain.execute(
                f"SELECT {_COLUMNS} FROM read_parquet([{names}]) {_ASKED}{_LAST}",  # noqa: S608
                asked,
            ).fetchall()
            theirs.append(time.perf_counter() - began)
        began = time.perf_counter()
        with archive.events.open_events(ACME, events) as connection:
            answer = connection.execute(_OF_VIEW, asked).fetchall()
        ours.append(time.perf_counter() - began)
        found.append(len(answer))
        if answer != expected:
            raise AssertionError("the view does not answer what its files hold")
    size = sum(each.stat().st_size for each in paths)
    yield Row(
        f"trail search by actor and time over {events:,} archived events, {median(found):.0f} found",
        median(ours) * 1000,
        "ms",
        f"DuckDB on the same files: {median(theirs) * 1000:,.0f} ms",
        versus(ours, theirs),
        "≤ 1.5",
    )
    yield Row(f"bytes of archive for each of {events:,} events", size / events, "bytes")


def fabricated(folder: Path, events: int) -> tuple[Archive, list[Path]]:
    """An archive of so many made-up events of many actors, which can be searched and not verified; and its files."""
    folder.mkdir(parents=True)
    office = Office(folder)
    storage = FolderStorage(folder / "archive")
    archive = Archive(storage, folder / "local", IndexHistory(office.database), clock)
    shelf, files = archive._shelf, []
    with duckdb.connect() as maker, shelf.unfinished() as unfinished:
        for start, end in pairwise([1, *_ends(events)]):
            path = unfinished / "events.parquet"
            writer = FileWriter(path, end - start)
            wanted = {"first": FIRST_AT, "apart": APART, "start": start, "end": end}
            for batch in maker.sql(_FABRICATED, params=wanted).to_arrow_reader(65_536):
                writer.write(pa.RecordBatch.from_arrays(batch.cast(_loose()).columns, schema=ARCHIVED))
            writer.close()
            tree = Frontier(end - 1, [bytes(32)] * (end - 1).bit_count())
            last_at = Instant(FIRST_AT + (end - 1) * APART)
            until = Reached(end - 1, last_at, tree.root().hex(), tree.pack().hex(), bytes(32).hex())
            files.append(shelf.put(ACME, path, start, Instant(FIRST_AT + start * APART), until))
    held = shelf.read(ACME)
    shelf.replace(held, msgspec.structs.replace(held.manifest, files=tuple(files)))
    paths = [storage.local(file_key(ACME, each.name)) for each in files]
    return archive, [each for each in paths if each is not None]


def _loose() -> pa.Schema:
    return pa.schema([field.with_nullable(True) for field in ARCHIVED])


def _ends(events: int) -> Iterator[int]:
    """One after the last position of each file: full, or the last of its month."""
    start = 1
    while start <= events:
        month = (month_ends(Instant(FIRST_AT + start * APART)) - FIRST_AT + APART - 1) // APART
        start = min(start + IN_FILE, month, events + 1)
        yield start
