"""What one commit changes in the keyring: keys and handles that come into being, and those that are destroyed."""

import sqlite3
from collections.abc import Iterable

from adapters.embedded.bulk import insert
from domain.ids import Handle, TenantId

_ONCE = "ON CONFLICT DO NOTHING"


class RingChange:
    """Collected while commands are decided, written in their commit."""

    def __init__(self) -> None:
        self.tenant_keys: dict[str, tuple[str, str, bytes]] = {}
        self.data_keys: dict[str, tuple[str, str, str, bytes]] = {}
        self.handles: dict[Handle, tuple[str, Handle, bytes, int]] = {}
        self.destroyed: list[tuple[TenantId, str, tuple[Handle, ...]]] = []

    def add_tenant_key(self, tenant: TenantId, id: str, wrapped: bytes) -> None:
        self.tenant_keys[tenant] = (tenant, id, wrapped)

    def add_data_key(self, tenant: TenantId, id: str, subject: str, wrapped: bytes) -> None:
        self.data_keys[id] = (tenant, id, subject, wrapped)

    def add_handle(self, tenant: TenantId, handle: Handle, lookup: bytes) -> None:
        self.handles[handle] = (tenant, handle, lookup, short(lookup))

    def destroy(self, tenant: TenantId, subject: str, handles: Iterable[Handle]) -> None:
        """What opens a subject's values and names, also if it came into being in this very commit."""
        gone = tuple(handles)
        self.destroyed.append((tenant, subject, gone))
        for id in [id for id, row in self.data_keys.items() if row[0] == tenant and row[2] == subject]:
            del self.data_keys[id]
        for handle in gone:
            self.handles.pop(handle, None)

    def write(self, connection: sqlite3.Connection) -> None:
        """Inside the sequencer's transaction."""
        insert(connection, "tenant_keys (tenant, id, wrapped)", list(self.tenant_keys.values()), _ONCE)
        insert(connection, "data_keys (tenant, id, subject, wrapped)", list(self.data_keys.values()), _ONCE)
        insert(connection, "handles (tenant, handle, lookup, short)", list(self.handles.values()), _ONCE)
        for tenant, subject, handles in self.destroyed:
            _overwrite(connection, tenant, subject, handles)


def short(lookup: bytes) -> int:
    """The part of a look-up hash that is in the index; never zero, which is what destroyed ones have."""
    return int.from_bytes(lookup[:8], "big", signed=True) or 1


def _overwrite(connection: sqlite3.Connection, tenant: TenantId, subject: str, handles: tuple[Handle, ...]) -> None:
    """In place and of the same length, so that SQLite doesn't move the row and leave the old one behind."""
    connection.execute(
        "UPDATE data_keys SET wrapped = zeroblob(length(wrapped)) WHERE tenant = ? AND subject = ?", (tenant, subject)
    )
    connection.execute("INSERT INTO destructions (tenant, subject) VALUES (?, ?)", (tenant, subject))
    connection.executemany(
        "UPDATE handles SET lookup = zeroblob(32), short = 0 WHERE tenant = ? AND handle = ?",
        [(tenant, handle) for handle in handles],
    )
