"""A crash at any moment: whatever was and wasn't written, the next start goes on, and every event is there once."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from adapters.archive.archive import Archive
from adapters.archive.compaction import FAN
from adapters.archive.folder import FolderStorage
from domain.event import Instant
from tests.adapters.archive.past import ACME, MINUTE, Past, instant, past

STEPS = 60


class Crash(BaseException):
    """The power goes."""


class Failing(FolderStorage):
    """Loses its power at the n-th change, before it or right after it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.left = 10**9
        self.after = False

    def _step(self, done: bool) -> None:
        if done == self.after:
            self.left -= 1
            if self.left == 0:
                raise Crash

    def put(self, key: str, file: Path) -> None:
        self._step(False)
        super().put(key, file)
        self._step(True)

    def replace(self, key: str, data: bytes, version: str | None) -> str:
        self._step(False)
        replaced = super().replace(key, data, version)
        self._step(True)
        return replaced

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._step(False)
            super().delete([key])
            self._step(True)


def work(acme: Past, archive: Archive, days: int) -> None:
    """Everything that changes an archive."""
    archive.take_in(ACME)
    archive.compact(ACME)
    archive.verify(ACME)
    old = archive.older_than(ACME, Instant(acme.now - days * 24 * 60 * MINUTE))
    if old is not None:
        archive.remove(ACME, old.last)
    archive.tidy(ACME, stray=True)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_after_a_crash_at_any_change_every_event_is_there_once(tmp_path: Path, after: bool) -> None:
    storage = Failing(tmp_path / "archive")
    with past(tmp_path, storage) as acme:
        crashes = 0
        for step in range(STEPS):
            acme.now = Instant(acme.now + 24 * 60 * MINUTE)
            acme.append(2)
            storage.left, storage.after = 1 + step % (FAN + 4), after
            try:
                work(acme, acme.archive, 45)
            except Crash:
                crashes += 1
            storage.left = 10**9
            acme.opened()
            if step % 7 == 6:
                work(acme, acme.archive, 45)
                holds(acme)
        assert crashes > STEPS // 4
        acme.now = instant("2036-01-01 00:00:00")
        work(acme, acme.archive, 10**5)
        holds(acme)
        status = acme.archive.status(ACME)
        assert len(acme.files()) == status.files + 1, "nothing but what the manifest lists"
        assert status.removed > 0


def holds(acme: Past) -> None:
    """Whatever is left is the log, without a gap."""
    status = acme.archive.status(ACME)
    assert acme.archive.verify(ACME).problems == ()
    rows: list[tuple[int, bytes]] = []
    for batch in acme.archive.events.arrow_batches(ACME, 0, None, stored=True):
        rows += zip(batch.column("position").to_pylist(), batch.column("stored").to_pylist(), strict=True)
    assert rows == list(acme.history.stored(ACME, status.removed, 10**6))
