"""What one commit changes in the keyring: keys and handles that come into being, and those that are destroyed."""

from collections.abc import Iterable, Iterator

from adapters.index.bulk import Written, written
from domain.ids import Handle, TenantId


class RingChange:
    """Collected while commands are decided, written in their commit."""

    def __init__(self) -> None:
        self.tenant_keys: dict[str, tuple[str, str, bytes]] = {}
        self.data_keys: dict[str, tuple[str, str, str, bytes]] = {}
        self.handles: dict[Handle, tuple[str, Handle, bytes, int]] = {}
        self.destroyed: list[tuple[TenantId, str, tuple[Handle, ...]]] = []
        self.spent: list[str] = []
        """Data keys of purposes that are over."""

    def __bool__(self) -> bool:
        return bool(self.tenant_keys or self.data_keys or self.handles or self.destroyed or self.spent)

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

    def merge(self, later: "RingChange") -> None:
        """What came after this, too."""
        self.tenant_keys |= later.tenant_keys
        for id in later.spent:
            self.data_keys.pop(id, None)
        self.data_keys |= later.data_keys
        self.handles |= later.handles
        self.destroyed += later.destroyed
        self.spent += later.spent

    def rows(self) -> Iterator[Written]:
        """The rows that the commit writes."""
        for row in self.tenant_keys.values():
            yield written("tenant key", *row)
        for key in self.data_keys.values():
            yield written("data key", *key)
        for handle in self.handles.values():
            yield written("handle", *handle)
        for tenant, subject, handles in self.destroyed:
            yield written("destroyed", tenant, subject)
            for each in handles:
                yield written("destroyed handle", tenant, each)
        for id in self.spent:
            yield written("spent", id)


def short(lookup: bytes) -> int:
    """The part of a look-up hash that is in the index; never zero, which is what destroyed ones have."""
    return int.from_bytes(lookup[:8], "big", signed=True) or 1
