"""Unique values: what nobody else may have, the handles that stand for them, and who holds which."""

from typing import Generic, TypeVar

import msgspec

from domain.command import Latest, Refused, Taken
from domain.event import Recorded, Sealed
from domain.ids import Handle

S = TypeVar("S", bound=str)


class Unique(msgspec.Struct, frozen=True):
    """A value nobody else may have (in the tenant, or in one directory), and the handle that stands for it."""

    value: Sealed
    handle: Handle


class UniqueValues(Generic[S]):
    """What each subject has of one kind of unique value, and who has a value.

    The latter only of handles that a boundary asks about: of others the last word may not have been seen.
    """

    def __init__(self, whose: str, what: str) -> None:
        self._whose, self._what = whose, what
        self._values: Latest[S, Unique | None] = Latest()
        self._holders: Latest[Handle, S | None] = Latest()
        self._erased: set[Handle] = set()

    def __getitem__(self, subject: S) -> Unique | None:
        return self._values[subject]

    def taken(
        self, subject: S, value: Sealed | None, handle: Handle | None, former: Handle | None, recorded: Recorded
    ) -> None:
        """It has this one from now on, or none, and no longer the former one."""
        self._values.note(subject, Unique(value, handle) if value and handle else None, recorded)
        self.freed(former, recorded)
        if handle:
            self._holders.note(handle, subject, recorded)

    def freed(self, handle: Handle | None, recorded: Recorded) -> None:
        if handle:
            self._holders.note(handle, None, recorded)

    def erased(self, handles: tuple[Handle, ...]) -> None:
        """Nobody can tell any more what these stood for, so they can stand for nothing again."""
        self._erased.update(handles)

    def others_have(self, handle: Handle, subject: S) -> bool:
        return self._holders.get(handle) not in (None, subject)

    def must_be_free(self, unique: Unique, subject: S) -> None:
        """Raises Refused unless the subject may have it."""
        if unique.handle in self._erased:
            raise Refused(f"what was known of this {self._what} has just been erased; send the command again")
        if self.others_have(unique.handle, subject):
            raise Taken(f"another {self._whose} has this {self._what}; choose another, or change that {self._whose}")
