"""A PATCH of a group as explicit changes, so that adding one member never reads the thousands there are."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from adapters.scim.errors import ScimError, invalid_filter, invalid_value, mutability, too_large
from adapters.scim.filters import Compare, Filter, Operator, Or
from adapters.scim.leniency import Leniency, Tolerance
from adapters.scim.patch import Op, Operation, read_operations
from adapters.scim.paths import Target
from adapters.scim.schema import GROUP, Attribute
from adapters.scim.values import MAX_MEMBERS, canonical, canonical_entry, check_changeable, spread

_MEMBERS = GROUP.attributes["members"]
_TYPES = {"user": "User", "group": "Group"}


class Member(msgspec.Struct, frozen=True):
    """`type` is "User" or "Group", or None where the client did not say: providers often don't."""

    value: str
    type: str | None = None


class GroupChange(msgspec.Struct, frozen=True):
    """What all operations together come to. With `replace`, the members are exactly those, add and remove empty.

    `display_name` None and `external_id` UNSET are unchanged; `external_id` None is taken away.
    """

    display_name: str | None = None
    external_id: str | UnsetType | None = UNSET
    add: tuple[Member, ...] = ()
    remove: tuple[str, ...] = ()
    replace: tuple[Member, ...] | None = None


def group_changes(operations: Sequence[object], tolerance: Tolerance | None = None) -> GroupChange:
    """Folds the operations in their order (RFC 7644 §3.5.2). Raises ScimError naming the operation."""
    tolerance = tolerance or Tolerance()
    fold = _Fold(tolerance)
    for number, operation in enumerate(read_operations(operations, GROUP, tolerance), start=1):
        try:
            fold.perform(operation)
        except ScimError as error:
            raise error.within(f"operation {number}") from None
    return fold.change()


def members_of(group: Mapping[str, Any]) -> tuple[Member, ...]:
    """The members of a canonical group, each once. Raises ScimError if one is neither a user nor a group."""
    return tuple({member.value: member for member in map(_member, group.get("members", ()))}.values())


class _Fold:
    def __init__(self, tolerance: Tolerance) -> None:
        self._tolerance = tolerance
        self._display_name: str | None = None
        self._external_id: str | UnsetType | None = UNSET
        self._added: dict[str, Member] = {}
        self._removed: dict[str, None] = {}
        self._exactly: dict[str, Member] | None = None

    def change(self) -> GroupChange:
        if len(self._added) + len(self._removed) + len(self._exactly or ()) > MAX_MEMBERS:
            raise too_large(f"a request may change {MAX_MEMBERS} members; send the rest in another")
        return GroupChange(
            self._display_name,
            self._external_id,
            tuple(self._added.values()),
            tuple(self._removed),
            None if self._exactly is None else tuple(self._exactly.values()),
        )

    def perform(self, operation: Operation) -> None:
        check_changeable(operation.target)
        if operation.target.attribute is not None:
            self._perform(operation.op, operation.target, operation.value)
            return
        for place, part in spread(operation.value, GROUP, None, self._tolerance):
            attribute = place.attribute
            if attribute is not None and attribute.is_read_only:
                refused = mutability(f"{attribute.name} can't be changed")
                self._tolerance.need(Leniency.READ_ONLY_IN_VALUE, refused)
            elif part is not None or operation.op is Op.REPLACE:
                self._perform(operation.op, place, part)

    def _perform(self, op: Op, target: Target, value: object) -> None:
        attribute = target.attribute or _MEMBERS
        if attribute is not _MEMBERS:
            self._set(op, attribute, value)
        elif target.sub is not None:
            raise mutability("a member can't be changed; remove it and add another")
        elif target.where is not None:
            self._perform_selected(op, _selected(target.where), value)
        elif op is Op.ADD:
            self._add(self._members(value))
        elif op is Op.REPLACE or value in (UNSET, None):
            self._replace(() if op is Op.REMOVE else self._members(value))
        else:
            self._remove_listed(value)

    def _set(self, op: Op, attribute: Attribute, value: object) -> None:
        new = None if op is Op.REMOVE else canonical(attribute, value, self._tolerance)
        if new is None and op is Op.ADD:
            return
        if new is None and attribute.required:
            raise mutability(f"{attribute.name} is required and can't be removed")
        if attribute.name == "displayName":
            self._display_name = new
        else:
            self._external_id = new

    def _perform_selected(self, op: Op, ids: list[str], value: object) -> None:
        if op is not Op.ADD:
            self._remove(ids)
        if op is not Op.REMOVE and value is not None:
            self._add([_member(canonical_entry(_MEMBERS, value, self._tolerance))])

    def _remove_listed(self, value: object) -> None:
        # Microsoft Entra removes single members so. Read by the letter of the RFC it would empty the group.
        refused = invalid_value('to remove some members, select them in the path: members[value eq "..."]')
        self._tolerance.need(Leniency.REMOVE_LISTED_VALUES, refused)
        self._remove([member.value for member in self._members(value)])

    def _members(self, value: object) -> list[Member]:
        return [_member(entry) for entry in canonical(_MEMBERS, value, self._tolerance) or ()]

    def _add(self, members: Sequence[Member]) -> None:
        for member in members:
            if self._exactly is not None:
                self._exactly[member.value] = member
            else:
                self._removed.pop(member.value, None)
                self._added[member.value] = member

    def _remove(self, ids: Sequence[str]) -> None:
        for member in ids:
            if self._exactly is not None:
                self._exactly.pop(member, None)
            else:
                self._added.pop(member, None)
                self._removed[member] = None

    def _replace(self, members: Sequence[Member]) -> None:
        self._added, self._removed = {}, {}
        self._exactly = {member.value: member for member in members}


def _member(entry: Mapping[str, str]) -> Member:
    kind = entry.get("type")
    if kind is not None and kind.lower() not in _TYPES:
        raise invalid_value("the type of a member must be User or Group")
    return Member(entry["value"], None if kind is None else _TYPES[kind.lower()])


def _selected(where: Filter) -> list[str]:
    """The ids that `value eq "a"`, or several of them joined by `or`, select without looking at the group."""
    ids = []
    for term in where.terms if isinstance(where, Or) else (where,):
        match term:
            case Compare(path, Operator.EQ, str(value)) if (
                path.attribute is not None and path.attribute.name == "value"
            ):
                ids.append(value)
            case _:
                raise invalid_filter('members are selected by their value only: members[value eq "..."]')
    return ids
