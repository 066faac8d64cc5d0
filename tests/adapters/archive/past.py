"""A ledger's file with made-up events of known times and actors, as the sequencer would have written them."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from adapters.archive.archive import Archive
from adapters.archive.folder import FolderStorage
from adapters.archive.storage import Storage
from adapters.avro.codec import Body, encode_own, encode_shared, encode_tags, frame
from adapters.index.database import Database
from adapters.index.history import IndexHistory
from domain.event import Code, Event, Instant, Sealed
from domain.flags import FlagDefined
from domain.ids import FlagId, TenantId
from domain.ledger import OpaqueRecorded
from tests.log import META

ACME, OTHER = TenantId("ten_" + "a" * 32), TenantId("ten_" + "b" * 32)
MINUTE = 60_000_000
SECRET = Sealed("dek_1", b"nonce", b"sealed text", b"eq")


def instant(text: str) -> Instant:
    return Instant(int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000))


def flag(number: int) -> Event:
    return FlagDefined(
        FlagId(f"flg_{number:032x}"), Code(f"f{number}"), Code("boolean"), Code("{}"), Code("a"), Code("b"), SECRET
    )


class Past:
    """Appends to it, and archives it. `clock` tells the time that the next event would have."""

    def __init__(self, folder: Path, storage: Storage | None = None) -> None:
        self.folder = folder
        self.database = Database(folder / "ledger.db")
        self.history = IndexHistory(self.database)
        self.storage = storage or FolderStorage(folder / "archive")
        self.now = instant("2026-01-30 12:00:00")
        self._sequence = itertools.count(1)
        self.archive = self.opened()

    def opened(self, grace: float = 0.0) -> Archive:
        """Another archive on the same storage, as after a restart."""
        self.archive = Archive(self.storage, self.folder / "work", self.history, lambda: self.now, grace=grace)
        return self.archive

    def append(self, count: int, *, actor: str = "opr_1", tenant: TenantId = ACME, apart: int = MINUTE) -> None:
        """So many events, `apart` microseconds after each other."""
        connection = self.database.writer
        connection.execute("BEGIN")
        connection.execute(
            "INSERT OR IGNORE INTO tenants (tenant, position, instant, frontier) VALUES (?, 0, 0, x'')", (tenant,)
        )
        connection.execute("INSERT OR IGNORE INTO types (name) VALUES ('FlagDefined'), ('opaque:odd')")
        (number, head) = connection.execute(
            "SELECT number, position FROM tenants WHERE tenant = ?", (tenant,)
        ).fetchone()
        meta = msgspec.structs.replace(META, actor_id=actor, on_behalf_of=("user:usr_1",), credential_id=f"key_{actor}")
        for position in range(head + 1, head + count + 1):
            self.now = Instant(self.now + apart)
            odd = position % 10 == 0
            event = OpaqueRecorded(Code("odd"), b"data") if odd else flag(position)
            tags = [f"actor:{actor}", *event.subject_tags()]
            body = Body(encode_shared(meta), encode_own(event), encode_tags(tags))
            nth = [position] * len(tags)
            stored, own = frame(type(event), position, self.now, nth, f"{position:036d}", body)
            row = (next(self._sequence), number, position, 2 if odd else 1, self.now, own, stored)
            connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        connection.execute(
            "UPDATE tenants SET position = ?, instant = ? WHERE number = ?", (head + count, self.now, number)
        )
        connection.execute("COMMIT")

    def files(self, tenant: TenantId = ACME) -> list[str]:
        """What is in the storage of a tenant, in order."""
        return sorted(each.key for each in self.storage.under(f"tenant={tenant}/"))


@contextmanager
def past(folder: Path, storage: Storage | None = None) -> Iterator[Past]:
    made = Past(folder, storage)
    try:
        yield made
    finally:
        made.database.close()
