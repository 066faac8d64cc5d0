"""Backups of the log: of one moment, beside a writer, and refused wherever they are not what they say."""

import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import msgspec
import pytest

from adapters.embedded.backup import LOG, MANIFEST, BackupBroken, back_up, check_log, read_manifest, restore
from adapters.embedded.erasures import Erasure, erasures_in, erasures_listed
from adapters.embedded.log import embedded_sequencer
from adapters.embedded.tail import TailFile, remembered_in
from adapters.index.database import Database
from adapters.index.evidence import LogBroken, LogEvidence
from adapters.index.history import IndexHistory
from adapters.index.log import LogShorter, end_of_log
from adapters.keyring import Keyring
from domain.boundary import Boundary
from domain.command import Known
from domain.directory.life import SubjectErased, UserDeactivated, UserReactivated
from domain.event import Event, Instant
from domain.ids import TenantId
from domain.ledger import Work
from tests.domain import people
from tests.domain.people import FRY, LEELA, PLANET_EXPRESS
from tests.log import META

MOMCORP = TenantId("ten_momcorp")
NOW = Instant(1_790_000_000_000_000)


def _decided(event: Event, _: Known) -> list[Event]:
    return [event]


class Writer:
    """A log with a sequencer on it, one event a commit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database(folder / LOG)
        self._tail = TailFile(folder / "ledger.tail")
        self._sequencer = embedded_sequencer(
            self.database, Keyring(self.database, bytes(32)), self._tail, lambda: NOW, steady=lambda: NOW
        )
        self._sequencer.start()

    async def write(self, *events: Event, tenant: TenantId = PLANET_EXPRESS) -> None:
        for event in events:
            decide = partial(_decided, event)
            await self._sequencer.execute(Work(tenant, Boundary(), lambda _: Boundary(), Known, decide, META))

    async def close(self) -> None:
        await self._sequencer.stop()
        self._tail.close()
        self.database.close()


@pytest.fixture
async def written(tmp_path: Path) -> AsyncIterator[Writer]:
    (tmp_path / "data").mkdir()
    writer = Writer(tmp_path / "data")
    await writer.write(people.provisioned(FRY), people.provisioned(LEELA), UserDeactivated(FRY))
    await writer.write(people.provisioned(FRY), tenant=MOMCORP)
    yield writer
    await writer.close()


async def test_a_backup_is_of_one_moment_while_the_writer_goes_on(written: Writer, tmp_path: Path) -> None:
    manifest = back_up(written.folder / LOG, tmp_path / "backup")
    await written.write(UserReactivated(FRY))
    assert (manifest.sequence, manifest.tenants) == (4, 2)
    assert read_manifest(tmp_path / "backup") == manifest == check_log(tmp_path / "backup" / LOG)
    assert back_up(written.folder / LOG, tmp_path / "later").sequence == 5


async def test_a_backup_can_be_taken_of_a_folder_at_rest(written: Writer, tmp_path: Path) -> None:
    shutil.copytree(written.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("*-shm"))
    assert back_up(tmp_path / "copy" / LOG, tmp_path / "backup").sequence == 4


async def test_what_is_restored_is_the_same_history_with_a_tail_that_knows_its_end(
    written: Writer, tmp_path: Path
) -> None:
    manifest = back_up(written.folder / LOG, tmp_path / "backup")
    (tmp_path / "new").mkdir()
    told: list[tuple[int, int]] = []
    restored = restore(
        tmp_path / "backup", tmp_path / "new" / LOG, tmp_path / "new" / "tail", NOW, lambda *done: told.append(done)
    )
    assert restored == manifest
    database = Database(tmp_path / "new" / LOG)
    try:
        history, original = IndexHistory(database), IndexHistory(written.database)
        for tenant in (PLANET_EXPRESS, MOMCORP):
            assert history.stored(tenant, 0, 100) == original.stored(tenant, 0, 100)
        assert LogEvidence(database, remembered_in(tmp_path / "new" / "tail")).check() == end_of_log(database.writer)
    finally:
        database.close()


async def test_an_empty_log_is_backed_up_and_restored(tmp_path: Path) -> None:
    Database(tmp_path / LOG).close()
    assert back_up(tmp_path / LOG, tmp_path / "backup").sequence == 0
    (tmp_path / "new").mkdir()
    assert restore(tmp_path / "backup", tmp_path / "new" / LOG, tmp_path / "new" / "tail", NOW).sequence == 0


async def test_no_backup_is_written_over_and_none_of_nothing(written: Writer, tmp_path: Path) -> None:
    back_up(written.folder / LOG, tmp_path / "backup")
    with pytest.raises(BackupBroken, match="exists already"):
        back_up(written.folder / LOG, tmp_path / "backup")
    with pytest.raises(BackupBroken, match="no ledger"):
        back_up(tmp_path / "nowhere" / LOG, tmp_path / "other")
    assert not (tmp_path / "other").exists()


async def test_a_folder_with_a_ledger_is_not_restored_into(written: Writer, tmp_path: Path) -> None:
    back_up(written.folder / LOG, tmp_path / "backup")
    with pytest.raises(BackupBroken, match="empty folder"):
        restore(tmp_path / "backup", written.folder / LOG, written.folder / "ledger.tail", NOW)


def _changed_event(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE events SET stored = stored || x'00' WHERE sequence = 2")


def _lost_event(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM events WHERE sequence = 2")


def _lost_end(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM events WHERE sequence = 4")


def _changed_order(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE events SET sequence = 9 WHERE sequence = 1")
    connection.execute("UPDATE events SET sequence = 1 WHERE sequence = 2")
    connection.execute("UPDATE events SET sequence = 2 WHERE sequence = 9")


def _other_tenant(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE events SET tenant = 2, position = 2 WHERE sequence = 3")


def _changed_tree(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE tenants SET frontier = zeroblob(length(frontier)) WHERE number = 1")


def _changed_chain(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE commits SET chain = zeroblob(32) WHERE first = 1")


CHANGES = (_changed_event, _lost_event, _lost_end, _changed_order, _other_tenant, _changed_tree, _changed_chain)


@pytest.mark.parametrize("change", CHANGES)
async def test_a_log_that_was_changed_is_no_backup(
    written: Writer, tmp_path: Path, change: Callable[[sqlite3.Connection], None]
) -> None:
    back_up(written.folder / LOG, tmp_path / "backup")
    with closing(sqlite3.connect(tmp_path / "backup" / LOG)) as connection:
        change(connection)
        connection.commit()
    with pytest.raises(BackupBroken):
        check_log(tmp_path / "backup" / LOG)
    with pytest.raises(BackupBroken, match="not the one its manifest names"):
        restore(tmp_path / "backup", tmp_path / LOG, tmp_path / "tail", NOW)
    assert not (tmp_path / LOG).exists()


@pytest.mark.parametrize("change", [_changed_event, _lost_event, _lost_end, _changed_order, _changed_chain])
async def test_a_change_beneath_a_running_node_is_found_by_its_evidence(
    written: Writer, change: Callable[[sqlite3.Connection], None]
) -> None:
    evidence = LogEvidence(written.database, remembered_in(written.folder / "ledger.tail"))
    assert evidence.check().sequence == 4
    with closing(sqlite3.connect(written.folder / LOG)) as connection:
        change(connection)
        connection.commit()
    with pytest.raises((LogBroken, LogShorter)):
        evidence.check()


@pytest.mark.parametrize("change", [_changed_event, _lost_event, _changed_tree])
async def test_a_tenants_tree_shows_what_was_changed(
    written: Writer, change: Callable[[sqlite3.Connection], None]
) -> None:
    evidence = LogEvidence(written.database, remembered_in(written.folder / "ledger.tail"))
    before = evidence.tree(PLANET_EXPRESS)
    assert (before.size, before.problem) == (3, None)
    with closing(sqlite3.connect(written.folder / LOG)) as connection:
        change(connection)
        connection.commit()
    assert evidence.tree(PLANET_EXPRESS).problem is not None
    assert evidence.tree(MOMCORP).problem is None


async def test_a_manifest_that_names_other_events_is_refused(written: Writer, tmp_path: Path) -> None:
    manifest = back_up(written.folder / LOG, tmp_path / "backup")
    for name, other in (("sequence", 3), ("chain", "00" * 32), ("tenants", 1), ("sha256", "00" * 32)):
        changed = msgspec.structs.replace(manifest, **{name: other})
        (tmp_path / "backup" / MANIFEST).write_bytes(msgspec.json.encode(changed))
        with pytest.raises(BackupBroken):
            restore(tmp_path / "backup", tmp_path / LOG, tmp_path / "tail", NOW)
    assert not (tmp_path / "tail").exists()


@pytest.mark.parametrize("text", [b"", b"{}", b"not json", b"[]", b'{"format": "one"}'])
def test_what_is_no_manifest_is_no_backup(tmp_path: Path, text: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(text)
    with pytest.raises(BackupBroken, match="no backup here"):
        read_manifest(tmp_path)


async def test_a_backup_of_another_format_names_the_version_it_needs(written: Writer, tmp_path: Path) -> None:
    manifest = back_up(written.folder / LOG, tmp_path / "backup")
    later = msgspec.structs.replace(manifest, format=manifest.format + 1)
    (tmp_path / "backup" / MANIFEST).write_bytes(msgspec.json.encode(later))
    with pytest.raises(BackupBroken, match="restore it with the version"):
        read_manifest(tmp_path / "backup")


async def test_erasures_are_told_by_a_log_that_is_being_written(written: Writer) -> None:
    assert list(erasures_in(written.folder / LOG)) == []
    await written.write(people.deleted(FRY), SubjectErased(FRY, ()))
    assert list(erasures_in(written.folder / LOG)) == [Erasure(PLANET_EXPRESS, FRY)]


def test_erasures_are_listed_one_a_line(tmp_path: Path) -> None:
    listed = tmp_path / "erased"
    listed.write_text("ten_a usr_fry\n\n  ten_b\tusr_leela  \n")
    assert [tuple(each) for each in erasures_listed(listed)] == [("ten_a", "usr_fry"), ("ten_b", "usr_leela")]


@pytest.mark.parametrize("text", ["usr_fry", "ten_a usr_fry more", "usr_fry ten_a", "ten_a fry", "ten_a usr_a;drop"])
def test_a_line_that_is_no_erasure_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "erased").write_text(f"ten_a usr_fry\n{text}\n")
    with pytest.raises(BackupBroken, match="line 2"):
        list(erasures_listed(tmp_path / "erased"))
