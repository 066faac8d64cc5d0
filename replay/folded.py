"""Rows of views folded again: they can be put in place from a snapshot, and copied where two histories part."""

from collections.abc import Iterable
from typing import Any

from domain.view import Rows, View


class Folded(Rows):
    """Rows in memory, as `Rows`, that need not have been folded here from the beginning."""

    def place(self, view: View[Any], key: str, since: int, row: Any) -> None:
        """A row as it was when it was kept."""
        self.rows[view.name][key] = row
        self.since[view.name][key] = since
        for column in view.indexes:
            self._reindex(view, column, key, None, row)

    def copy(self) -> "Folded":
        """The same rows, which from here on follow other events."""
        other = Folded(self.views)
        other.position = self.position
        other.rows = {name: dict(rows) for name, rows in self.rows.items()}
        other.since = {name: dict(since) for name, since in self.since.items()}
        other._by = {place: {value: set(keys) for value, keys in index.items()} for place, index in self._by.items()}
        return other

    @property
    def count(self) -> int:
        """How many rows there are."""
        return sum(map(len, self.rows.values()))

    def concerned(self, view: View[Any], event: Any) -> Iterable[str]:
        """The keys of the rows that an event would change, those that it closes included."""
        for concern in view.concerns(event):
            if isinstance(concern, str):
                yield concern
            else:
                yield from tuple(self._by[view.name, concern.column].get(concern.value, ()))
