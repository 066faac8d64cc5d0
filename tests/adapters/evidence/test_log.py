"""The deployment's log, how it grows, and that whatever is changed in it or in a history is found and named."""

import shutil
import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from adapters.evidence.auditing import LogWrong, check_log, check_tenant
from adapters.evidence.log import EmbeddedLog, LogBook, NotNext
from adapters.evidence.making import LogReplaced
from adapters.evidence.proving import LOG, NotCommitted, Proving
from adapters.evidence.signing import verifies
from adapters.evidence.trees import Trees, leaves_of
from domain.evidence.bundles import verify_bundle
from domain.evidence.checkpoints import parse_checkpoint
from domain.evidence.notes import open_note
from domain.evidence.proofs import root_at, verify_consistency
from tests.adapters.evidence.histories import stored_event
from tests.adapters.evidence.logs import ORIGIN, Office


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.close()


def proving(office: Office) -> Proving:
    trees = Trees(leaves_of(office.history.stored), 1 << 26)
    return Proving(office.history, trees, office.log.book, Trees(office.log.book.leaves, 1 << 26), office.counts)  # type: ignore[arg-type]


def change(office: Office, statement: str) -> None:
    with sqlite3.connect(office.folder / "checkpoints.db") as connection:
        changed = connection.execute(statement).rowcount
    connection.close()
    assert changed == 1


class TestGrowing:
    def test_each_checkpoint_has_a_leaf_for_each_tenant_that_changed(self, office: Office) -> None:
        first = office.grow(one=300, two=5)
        assert first.sizes == {"one": 300, "two": 5}
        second = office.grow(two=1)
        assert second.checkpoint is not None
        assert (second.checkpoint.number, second.checkpoint.size, second.sizes) == (2, 3, {"two": 6})
        assert office.make(["one", "two", "nobody"]).checkpoint is None
        assert office.log.book.sizes() == {"one": 300, "two": 6}
        told = parse_checkpoint(open_note(second.checkpoint.note.encode(), [office.key], verifies).text)
        assert told == (ORIGIN, 3, second.checkpoint.root, ())
        assert check_log(office.log.book, [office.key], verifies) == 3

    def test_the_log_only_grows(self, office: Office) -> None:
        made = [office.grow(**{f"t{number}": 1, "one": 2}).checkpoint for number in range(20)]
        kept = [each for each in made if each is not None]
        assert root_at(kept[-1].size, proving(office).log_node(kept[-1].size)) == kept[-1].root
        for old, new in pairwise(kept):
            proof = proving(office).log_consistency(old.size, new.size)
            verify_consistency(old.size, old.root, new.size, new.root, proof)

    def test_a_head_that_does_not_follow_is_not_appended(self, office: Office) -> None:
        office.grow(one=5)
        placed = office.log.book.head("one")
        assert placed is not None
        with pytest.raises(NotNext):
            office.log.append([placed.head], office.note, 1)
        assert check_log(office.log.book, [office.key], verifies) == 1

    def test_a_note_that_can_not_be_made_leaves_no_trace(self, office: Office) -> None:
        office.grow(one=5)
        office.history.grow("one", 1)

        def fail(size: int, root: bytes) -> None:
            raise RuntimeError

        with pytest.raises(RuntimeError):
            office.maker.make(["one"], fail, 1)  # type: ignore[arg-type]
        assert office.counts.position("one") == 5
        assert office.make(["one"]).sizes == {"one": 6}

    def test_counts_that_were_deleted_are_made_again(self, office: Office, tmp_path: Path) -> None:
        office.grow(one=400)
        office.counts.forget("one")
        office.grow(one=3)
        bundle = proving(office).bundle("one", [1, 403])  # type: ignore[arg-type]
        assert len(verify_bundle(bundle, [office.key], verifies).events) == 2

    def test_what_no_checkpoint_covers_is_not_proved(self, office: Office) -> None:
        with pytest.raises(NotCommitted):
            proving(office).committed("one")  # type: ignore[arg-type]
        office.grow(one=3)
        office.history.grow("one", 1)
        with pytest.raises(NotCommitted, match="position 4"):
            proving(office).bundle("one", [4])  # type: ignore[arg-type]

    def test_an_older_copy_of_the_log_is_noticed(self, office: Office, tmp_path: Path) -> None:
        office.grow(one=5)
        office.log.close()
        shutil.copy(tmp_path / "checkpoints.db", tmp_path / "old.db")
        later = Office.__new__(Office)
        later.__dict__.update(office.__dict__)
        later.log = EmbeddedLog(tmp_path / "checkpoints.db")
        later.maker = type(office.maker)(later.log, office.counts, office.frontier)
        later.grow(one=5)
        later.log.close()
        shutil.copy(tmp_path / "old.db", tmp_path / "checkpoints.db")
        office.log = EmbeddedLog(tmp_path / "checkpoints.db")
        office.maker = type(office.maker)(office.log, office.counts, office.frontier)
        with pytest.raises(LogReplaced):
            office.grow(one=1)
        before = office.log.book.id
        office.log.begin_anew()
        assert office.log.book.id != before


class TestTampering:
    @pytest.mark.parametrize(
        ("statement", "says"),
        [
            ("UPDATE heads SET root = zeroblob(32) WHERE leaf = 4", "leaf 4 is not the head of one at position 30"),
            ("UPDATE heads SET entry = zeroblob(32) WHERE leaf = 4", "leaf 4 is not the head of one at position 30"),
            ("UPDATE heads SET size = 31 WHERE leaf = 4", "leaf 4 is not the head of one at position 31"),
            ("DELETE FROM heads WHERE leaf = 4", "leaf 4 is missing"),
            ("UPDATE checkpoints SET root = zeroblob(32) WHERE number = 3", "checkpoint 3 has another root"),
            (
                "UPDATE checkpoints SET note = replace(note, 'example', 'exbmple') WHERE number = 3",
                "checkpoint 3 is not signed",
            ),
            ("UPDATE checkpoints SET size = 5 WHERE number = 3", "checkpoint 3 has another root"),
            ("DELETE FROM checkpoints WHERE number = 3", "checkpoint 3 is missing"),
            ("DELETE FROM checkpoints WHERE number = 5", "leaf 8 is in no checkpoint"),
        ],
    )
    def test_a_change_of_the_log_is_found_and_named(self, office: Office, statement: str, says: str) -> None:
        for _ in range(5):
            office.grow(one=10, two=3)
        assert check_log(office.log.book, [office.key], verifies) == 10
        change(office, statement)
        with pytest.raises(LogWrong, match=says):
            check_log(office.log.book, [office.key], verifies)

    def test_every_flipped_byte_of_the_file_s_rows_is_found(self, office: Office, tmp_path: Path) -> None:
        """Flipped where heads and notes are; the rest of the file is SQLite's own."""
        for _ in range(3):
            office.grow(one=10, two=3)
        expected = told(office.log.book)
        office.log.close()
        with sqlite3.connect(tmp_path / "checkpoints.db") as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("VACUUM")
        connection.close()
        whole = (tmp_path / "checkpoints.db").read_bytes()
        found = 0
        for at in range(4096 * 2, len(whole), 101):
            (tmp_path / "checkpoints.db").write_bytes(whole[:at] + bytes((whole[at] ^ 4,)) + whole[at + 1 :])
            try:
                book = LogBook(tmp_path / "checkpoints.db")
            except sqlite3.DatabaseError:
                found += 1
                continue
            try:
                check_log(book, [office.key], verifies)
                assert told(book) == expected, f"byte {at}"
            except (LogWrong, sqlite3.DatabaseError):
                found += 1
            finally:
                book.close()
                for suffix in ("-wal", "-shm"):
                    (tmp_path / f"checkpoints.db{suffix}").unlink(missing_ok=True)
        assert found > 5
        (tmp_path / "checkpoints.db").write_bytes(whole)
        office.log = EmbeddedLog(tmp_path / "checkpoints.db")

    def test_a_rewritten_event_is_found_at_its_position(self, office: Office) -> None:
        for _ in range(4):
            office.grow(one=100, two=3)
        assert checked(office, "one") is None
        stored = office.history.events["one"][149]
        office.history.events["one"][149] = stored[:-1] + bytes((stored[-1] ^ 1,))
        problem = checked(office, "one")
        assert problem is not None
        assert problem.startswith("position 150 is not what it was")
        assert checked(office, "two") is None
        office.counts.forget("one")  # then the checkpoints alone say between which it must be
        problem = checked(office, "one")
        assert problem is not None
        assert problem.startswith("an event after position 100 is not what it was")

    def test_a_rewritten_event_that_no_checkpoint_covers_is_found(self, office: Office) -> None:
        office.grow(one=20)
        office.history.grow("one", 5)
        office.known["one"] = office.frontier("one")
        office.history.events["one"][22] += b"!"
        assert checked(office, "one") == "an event after position 20 is not what it was when it was recorded"

    def test_a_rewritten_history_gets_no_checkpoint(self, office: Office) -> None:
        office.grow(one=10, two=3)
        office.history.events["one"][4] = stored_event(5, ["command:x"], [1])
        made = office.grow(one=2, two=1)
        assert made.sizes == {"two": 4}
        assert "up to position 10" in made.wrong["one"] or "position" in made.wrong["one"]
        assert office.log.book.sizes() == {"one": 10, "two": 4}

    def test_a_history_that_was_cut_is_found(self, office: Office) -> None:
        office.grow(one=10)
        del office.history.events["one"][7:]
        assert checked(office, "one") == "position 8 is missing"

    def test_lying_tag_counts_are_found(self, office: Office, tmp_path: Path) -> None:
        office.grow(one=10)
        placed = office.log.book.head("one")
        assert placed is not None
        office.history.grow("one", 1)
        size, root = office.frontier("one")[0], office.counts.advance("one", 11).root
        head = placed.head._replace(size=size, root=root)
        office.log.append([head], office.note, 1)
        problem = checked(office, "one")
        assert problem is not None
        assert "tags of the events up to position 11" in problem


def checked(office: Office, tenant: str) -> str | None:
    def frontier(name: str) -> tuple[int, bytes]:
        return office.known.get(name) or office.frontier(name)

    return check_tenant(tenant, office.history.stored, office.log.book, office.counts, frontier)


def told(book: LogBook) -> object:
    """All that the log says to others."""
    return (book.checkpoints(0, 100), book.placed(0, 100), LOG)
