"""Copies the keyring of an embedded ledger to those of partitions: what is there is left, what was destroyed is not.

An attempt may have copied keys that the source has destroyed since. They are destroyed in the target too, without being
counted as an erasure there: the event that counts comes with the others.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from adapters.index.bulk import Written, written
from adapters.index.database import Database
from adapters.index.ring import RingChange
from adapters.kafka.topics import Topics
from domain.ids import Handle, TenantId

AT_ONCE: Final = 5_000
_NOBODY: Final = ""
TENANT_KEYS: Final = "SELECT number, tenant, id, wrapped FROM tenant_keys WHERE number > ? ORDER BY number LIMIT ?"
DATA_KEYS: Final = "SELECT number, tenant, id, subject, wrapped FROM data_keys WHERE number > ? ORDER BY number LIMIT ?"
_LIVES: Final = "SELECT wrapped <> zeroblob(length(wrapped)) FROM data_keys WHERE id = ?"
HANDLES: Final = "SELECT number, tenant, handle, lookup, short FROM handles WHERE number > ? ORDER BY number LIMIT ?"

Changes = Iterator[dict[int, RingChange]]
"""A change for each of some partitions, at a time."""


class StrangeKeys(Exception):
    """A target has keys that the source never had."""


class Gone(RingChange):
    """Keys and handles that were destroyed elsewhere."""

    def lose(self, handle: Handle) -> None:
        self.destroyed.append((TenantId(_NOBODY), _NOBODY, (handle,)))

    def rows(self) -> Iterator[Written]:
        for id in self.spent:
            yield written("spent", id)
        for _, _, handles in self.destroyed:
            for each in handles:
                yield written("gone handle", each)


class RingCopy:
    """What has to be done to the keyrings of a target's partitions."""

    def __init__(self, source: Database, topics: Topics, targets: Sequence[Database]) -> None:
        self._source = source
        self._topics = topics
        self._targets = targets

    def begin(self) -> Changes:
        """Before the events. Raises StrangeKeys."""
        for number, target in enumerate(self._targets):
            yield from self._gone(number, target)
        yield from self._added(TENANT_KEYS, "tenant_keys", "id", _add_tenant_key)
        erased = self._erased()
        yield from self._added(
            DATA_KEYS, "data_keys", "id", _add_data_key, lambda row: any(row[4]) and (row[1], row[3]) not in erased
        )
        yield from self._added(HANDLES, "handles", "handle", _add_handle, lambda row: row[4] != 0)

    def finish(self) -> Changes:
        """After the events: keys that came after an erasure of their subject, which must not destroy them."""
        if erased := self._erased():
            yield from self._added(
                DATA_KEYS, "data_keys", "id", _add_data_key, lambda row: any(row[4]) and (row[1], row[3]) in erased
            )

    def _erased(self) -> set[tuple[str, str]]:
        with self._source.reading() as connection:
            return set(connection.execute("SELECT tenant, subject FROM destructions"))

    def _gone(self, number: int, target: Database) -> Changes:
        source = self._source
        for page in pages(target, TENANT_KEYS):
            for row in page:
                if source.one("SELECT 1 FROM tenant_keys WHERE id = ?", (row[2],)) is None:
                    raise StrangeKeys
        for page in pages(target, DATA_KEYS):
            gone = Gone()
            for _, _, id, _, wrapped in page:
                if any(wrapped) and _is_gone(
                    source.one("SELECT wrapped <> zeroblob(length(wrapped)) FROM data_keys WHERE id = ?", (id,))
                ):
                    gone.spent.append(id)
            if gone:
                yield {number: gone}
        for page in pages(target, HANDLES):
            gone = Gone()
            for _, _, handle, _, short in page:
                if short and _is_gone(source.one("SELECT short FROM handles WHERE handle = ?", (handle,))):
                    gone.lose(handle)
            if gone:
                yield {number: gone}

    def _added(
        self,
        statement: str,
        table: str,
        named: str,
        add: Callable[[RingChange, Any], None],
        wanted: Callable[[Any], bool] = lambda row: True,
    ) -> Changes:
        """Rows whose third column names them, unless the target has them."""
        exists = f"SELECT 1 FROM {table} WHERE {named} = ?"  # noqa: S608
        for page in pages(self._source, statement):
            changes: dict[int, RingChange] = {}
            for row in page:
                number = self._topics.partition_of(row[1])
                if wanted(row) and self._targets[number].one(exists, (row[2],)) is None:
                    add(changes.setdefault(number, RingChange()), row)
            if changes:
                yield changes


def pages(database: Database, statement: str) -> Iterator[list[Any]]:
    """Rows by their numbers, some at a time, each page in a read transaction of its own."""
    last = 0
    while True:
        with database.reading() as connection:
            page = connection.execute(statement, (last, AT_ONCE)).fetchall()
        if not page:
            return
        last = page[-1][0]
        yield page


def _add_tenant_key(change: RingChange, row: Any) -> None:
    change.add_tenant_key(TenantId(row[1]), row[2], row[3])


def _add_data_key(change: RingChange, row: Any) -> None:
    change.add_data_key(TenantId(row[1]), row[2], row[3], row[4])


def _add_handle(change: RingChange, row: Any) -> None:
    change.add_handle(TenantId(row[1]), Handle(row[2]), row[3])


def _is_gone(row: Any) -> bool:
    """Whether the source has it no more. Raises StrangeKeys if it never had it."""
    if row is None:
        raise StrangeKeys
    return not row[0]
