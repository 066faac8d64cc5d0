"""The archive of a tenant: every event once, whatever happened in between; compacted, trimmed, and read as one."""

import threading
from collections.abc import Sequence

import duckdb
import pytest

from adapters.archive import compaction
from adapters.archive.archive import Archive
from adapters.archive.columns import SEARCHED, batch_of
from adapters.archive.intake import Forked
from adapters.archive.manifest import Manifest, decode, key_of
from adapters.archive.reading import ArchiveTooLarge
from adapters.archive.shelf import FileLost
from adapters.archive.storage import Replaced
from adapters.avro.codec import decode_entry
from adapters.index.history import IndexHistory
from domain.evidence.tree import Frontier, leaf_hash
from domain.ids import TenantId
from tests.adapters.archive.past import ACME, MINUTE, OTHER, Past, instant


def everything(acme: Past) -> list[tuple[int, bytes]]:
    return list(acme.history.stored(ACME, 0, 10**6))


def archived(acme: Past) -> list[tuple[int, bytes]]:
    """What the archive and the tail hold, as (position, stored bytes)."""
    rows: list[tuple[int, bytes]] = []
    for batch in acme.archive.events.arrow_batches(ACME, 0, None, stored=True):
        rows += zip(batch.column("position").to_pylist(), batch.column("stored").to_pylist(), strict=True)
    return rows


def manifest(acme: Past) -> Manifest:
    found = acme.storage.read(key_of(ACME))
    assert found is not None
    return decode(ACME, found.data)


def test_every_event_is_archived_once_with_the_bytes_that_are_hashed(acme: Past) -> None:
    acme.append(50)
    status, new = acme.archive.take_in(ACME)
    assert (new, status.first, status.last, status.files) == (50, 1, 50, 1)
    assert acme.archive.take_in(ACME)[1] == 0
    acme.append(7)
    assert acme.archive.take_in(ACME)[1] == 7
    assert archived(acme) == everything(acme)
    tree = Frontier()
    for _, stored in everything(acme):
        tree.append(leaf_hash(stored))
    assert manifest(acme).reached.root == tree.root().hex()
    assert [each.until.last for each in manifest(acme).files] == [50, 57]


def test_columns_say_what_the_events_say(acme: Past) -> None:
    acme.append(20, actor="opr_2")
    rows = everything(acme)
    batch = batch_of(ACME, rows)
    for row, (_, stored) in zip(batch.to_pylist(), rows, strict=True):
        entry = decode_entry(ACME, stored)
        assert row["type"] == entry.event.type_name
        assert (row["position"], row["actor_id"], row["event_id"]) == (entry.position, "opr_2", entry.meta.event_id)
        assert row["on_behalf_of"] == ["user:usr_1"]
        assert (row["tags"], row["nth"]) == (list(entry.meta.tags), list(entry.nth))
        assert (row["credential"], row["causation"], row["schema_id"]) == ("key_opr_2", None, entry.schema)
        assert int(row["recorded_at"].timestamp() * 1_000_000) == pytest.approx(entry.instant, abs=1)
    assert {"opaque:odd", "FlagDefined"} == set(batch.column("type").to_pylist())
    assert b"sealed text" not in b"".join(repr(row).encode() for row in batch.select(SEARCHED.names).to_pylist())


def test_files_are_partitioned_by_tenant_and_month_with_padded_positions(acme: Past) -> None:
    acme.append(48, apart=60 * MINUTE)
    acme.append(3, tenant=OTHER)
    acme.archive.take_in(ACME)
    acme.archive.take_in(OTHER)
    january, february = (each.name for each in manifest(acme).files)
    assert january.startswith("year=2026/month=01/000000000001-000000000035-")
    assert february.startswith("year=2026/month=02/000000000036-000000000048-")
    assert [file.first_at for file in manifest(acme).files][1] >= instant("2026-02-01 00:00:00")
    assert archived(acme) == everything(acme)
    assert not set(acme.files()) & set(acme.files(OTHER))


def test_an_archive_continues_where_it_was_after_a_restart(acme: Past) -> None:
    acme.append(5)
    acme.archive.take_in(ACME)
    acme.append(5)
    acme.opened()
    assert acme.archive.take_in(ACME)[1] == 5
    assert archived(acme) == everything(acme)


def test_a_crash_before_the_manifest_leaves_a_file_that_is_deleted(acme: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    acme.append(5)

    def crash(key: str, data: bytes, version: str | None) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(acme.storage, "replace", crash)
        with pytest.raises(KeyboardInterrupt):
            acme.archive.take_in(ACME)
    assert len(acme.files()) == 1, "the file, and no manifest"
    acme.append(5)
    acme.opened()
    acme.archive.take_in(ACME)
    assert archived(acme) == everything(acme)
    acme.now = instant("2036-01-01 00:00:00")
    assert acme.archive.tidy(ACME, stray=True) == 1
    assert len(acme.files()) == 2
    assert archived(acme) == everything(acme)


def test_of_two_archivers_one_wins_and_nothing_is_twice(acme: Past) -> None:
    acme.append(5)
    mine, theirs = acme.opened(), acme.opened()
    held = mine._shelf.read(ACME)
    theirs.take_in(ACME)
    with pytest.raises(Replaced):
        mine._shelf.replace(held, held.manifest)
    acme.append(2)
    assert mine.take_in(ACME)[1] == 2
    assert archived(acme) == everything(acme)


def test_small_files_of_a_month_are_merged_and_the_old_ones_deleted(acme: Past) -> None:
    for _ in range(compaction.FAN):
        acme.append(3)
        acme.archive.take_in(ACME)
    before = manifest(acme)
    assert acme.archive.compact(ACME) == compaction.FAN
    after = manifest(acme)
    assert (len(after.files), after.reached) == (1, before.reached)
    assert len(acme.files()) == compaction.FAN + 2, "the old files are there for those who read them"
    assert archived(acme) == everything(acme)
    assert acme.archive.tidy(ACME) == compaction.FAN
    assert len(acme.files()) == 2
    assert archived(acme) == everything(acme)
    assert acme.archive.compact(ACME) == 0
    assert acme.archive.verify(ACME).problems == ()


def test_all_of_a_month_that_is_over_becomes_one_file(acme: Past) -> None:
    for _ in range(3):
        acme.append(4)
        acme.archive.take_in(ACME)
    assert acme.archive.compact(ACME) == 0
    acme.now = instant("2026-02-03 00:00:00")
    acme.append(2)
    acme.archive.take_in(ACME)
    assert acme.archive.compact(ACME) == 3
    assert [(each.first, each.last) for each in manifest(acme).files] == [(1, 12), (13, 14)]


def test_a_damaged_file_is_not_merged_away(acme: Past) -> None:
    for _ in range(compaction.FAN):
        acme.append(3)
        acme.archive.take_in(ACME)
    name = manifest(acme).files[2].name
    damage(acme, name, 100)
    with pytest.raises(FileLost, match="is not the file that was written"):
        acme.archive.compact(ACME)
    assert len(manifest(acme).files) == compaction.FAN


def damage(acme: Past, name: str, place: int) -> None:
    """Change one byte of a file in the storage."""
    key = f"tenant={ACME}/{name}"
    local = acme.folder / "damaged"
    assert acme.storage.fetch(key, local)
    data = bytearray(local.read_bytes())
    data[place] ^= 1
    local.write_bytes(data)
    acme.storage.put(key, local)


def test_the_view_is_the_archive_and_the_tail_up_to_a_position(acme: Past) -> None:
    acme.append(30)
    acme.archive.take_in(ACME)
    acme.append(10, actor="opr_2")
    with acme.archive.events.open_events(ACME, None) as events:
        assert events.execute("SELECT count(*), min(position), max(position) FROM events").fetchone() == (40, 1, 40)
        found = events.execute("SELECT position FROM events WHERE actor_id = 'opr_2' ORDER BY position").fetchall()
        assert found == [(each,) for each in range(31, 41)]
        described = events.execute("DESCRIBE events").fetchall()
        assert [each[0] for each in described] == SEARCHED.names
    for until in (0, 12, 35):
        with acme.archive.events.open_events(ACME, until) as events:
            assert events.execute("SELECT count(*) FROM events").fetchone() == (until,)
    acme.append(1)
    acme.archive.take_in(ACME)
    acme.append(1)
    with acme.archive.events.open_events(ACME, None) as events:
        assert events.execute("SELECT count(DISTINCT position), count(*) FROM events").fetchone() == (42, 42)


def test_a_question_can_reach_no_other_file(acme: Past) -> None:
    acme.append(3)
    acme.archive.take_in(ACME)
    with acme.archive.events.open_events(ACME, None) as events:
        for statement in (
            "SELECT * FROM read_text('/etc/passwd')",
            f"ATTACH '{acme.folder / 'ledger.db'}'",
            "SET enable_external_access = true",
            "SELECT * FROM glob('/*')",
            "INSTALL httpfs",
        ):
            with pytest.raises(duckdb.Error):
                events.execute(statement).fetchall()


def test_files_of_other_times_are_not_fetched(acme: Past) -> None:
    acme.append(48, apart=60 * MINUTE)
    acme.archive.take_in(ACME)
    (_, february) = manifest(acme).files
    with acme.archive.events.open_events(ACME, None, since=february.first_at) as events:
        assert events.execute("SELECT min(position) FROM events").fetchone() == (february.first,)


def test_a_cache_too_small_says_so(acme: Past) -> None:
    acme.append(3)
    acme.archive.take_in(ACME)
    acme.archive.events._cache._most = 10
    if acme.storage.local("x") is not None:
        acme.archive.events.open_events(ACME, None).close()
        return
    with pytest.raises(ArchiveTooLarge, match="MUNIMENT_ARCHIVE_CACHE_MB"):
        acme.archive.events.open_events(ACME, None)


def test_batches_begin_and_end_where_they_are_asked_to(acme: Past) -> None:
    acme.append(20)
    acme.archive.take_in(ACME)
    acme.append(10)
    for after, until in ((0, 5), (3, 25), (19, 21), (22, None), (30, None), (5, 5)):
        batches = list(acme.archive.events.arrow_batches(ACME, after, until))
        positions = [each for batch in batches for each in batch.column("position").to_pylist()]
        assert positions == list(range(after + 1, (until or 30) + 1))
        assert all(batch.schema.names == SEARCHED.names for batch in batches)


def test_retention_takes_whole_files_from_the_beginning_and_the_rest_can_be_proved(acme: Past) -> None:
    acme.append(48, apart=60 * MINUTE)
    acme.archive.take_in(ACME)
    assert acme.archive.older_than(ACME, instant("2026-01-31 00:00:00")) is None
    until = acme.archive.older_than(ACME, instant("2026-02-01 00:00:00"))
    assert until is not None
    assert until.last == 35
    whole = manifest(acme).reached
    assert acme.archive.remove(ACME, until.last) == 1
    status = acme.archive.status(ACME)
    assert (status.first, status.last, status.removed, status.root) == (36, 48, 35, whole.root)
    assert acme.archive.verify(ACME).problems == ()
    with acme.archive.events.open_events(ACME, None) as events:
        assert events.execute("SELECT min(position) FROM events").fetchone() == (36,)
    assert acme.archive.tidy(ACME) == 1
    assert len(acme.files()) == 2
    acme.append(2)
    acme.archive.take_in(ACME)
    assert acme.archive.verify(ACME).problems == ()


def test_a_ledger_that_is_another_is_not_archived_over_the_first(acme: Past) -> None:
    acme.append(5)
    acme.archive.take_in(ACME)
    acme.database.writer.execute("UPDATE events SET stored = x'00' WHERE position = 5")
    with pytest.raises(Forked, match="position 5"):
        acme.archive.take_in(ACME)


class Stopping(IndexHistory):
    """The node stops as soon as the first page has been read."""

    stopping: threading.Event

    def stored(self, tenant: TenantId, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        self.stopping.set()
        return super().stored(tenant, after, limit)


def test_a_stop_keeps_what_was_read_and_nothing_is_lost(acme: Past) -> None:
    acme.append(9_000, apart=1)
    history = Stopping(acme.database)
    archive = Archive(acme.storage, acme.folder / "work", history, lambda: acme.now)
    history.stopping = archive._shelf.stopping
    assert archive.take_in(ACME)[1] == 4_096
    acme.opened()
    assert acme.archive.take_in(ACME)[1] == 9_000 - 4_096
    assert archived(acme) == everything(acme)
