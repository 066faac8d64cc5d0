"""The `remove` operation (RFC 7644 §3.5.2.2). Removing what is not there changes nothing: a retry is harmless."""

from collections.abc import Mapping
from typing import Any

import msgspec

from adapters.scim.errors import invalid_value, mutability
from adapters.scim.leniency import Leniency, Tolerance
from adapters.scim.matching import matches
from adapters.scim.paths import Target
from adapters.scim.schema import Attribute
from adapters.scim.values import canonical, check_changeable, is_forgotten


def remove(draft: dict[str, Any], target: Target, value: object, tolerance: Tolerance) -> None:
    """`value` is UNSET, or lists what is to be removed from a list."""
    check_changeable(target)
    attribute = target.attribute
    if attribute is None:
        draft.pop(target.extension or "", None)
        return
    if is_forgotten(target, tolerance):
        return
    holder = draft if target.extension is None else draft.get(target.extension, {})
    if attribute.multi_valued and target.where is None and target.sub is None and value not in (msgspec.UNSET, None):
        _remove_listed(holder, attribute, value, tolerance)
    else:
        unassign(holder, target)


def unassign(holder: dict[str, Any], target: Target) -> None:
    """Takes away what the target selects; an attribute left without values is gone (RFC 7643 §2.5)."""
    _check_removable(target)
    attribute, sub, where = target.attribute, target.sub, target.where
    if attribute is None or attribute.name not in holder:
        return
    if sub is None and where is None:
        del holder[attribute.name]
        return

    def selected(entry: Mapping[str, Any]) -> bool:
        return where is None or matches(where, entry)

    found = holder[attribute.name]
    entries = found if isinstance(found, list) else [found]
    if sub is None:
        entries = [entry for entry in entries if not selected(entry)]
    else:
        for entry in filter(selected, entries):
            entry.pop(sub.name, None)
    keep(holder, attribute, [entry for entry in entries if entry])


def keep(holder: dict[str, Any], attribute: Attribute, entries: list[Any]) -> None:
    """Stores what is left of an attribute's values, or nothing."""
    if not entries:
        holder.pop(attribute.name, None)
    else:
        holder[attribute.name] = entries if attribute.multi_valued else entries[0]


def _check_removable(target: Target) -> None:
    leaf = target.sub or target.attribute
    if leaf is not None and leaf.required:
        raise mutability(f"{leaf.name} is required and can't be removed")
    if target.sub is not None and target.sub.mutability is target.sub.mutability.immutable:
        raise mutability(f"{target.sub.name} can't be changed; remove the whole value")


def _remove_listed(holder: dict[str, Any], attribute: Attribute, value: object, tolerance: Tolerance) -> None:
    # Microsoft Entra removes single members so. Read by the letter of the RFC it would empty the group.
    tolerance.need(
        Leniency.REMOVE_LISTED_VALUES,
        invalid_value(f'to remove some of {attribute.name}, select them in the path: {attribute.name}[value eq "..."]'),
    )
    listed = canonical(attribute, value, tolerance) or []
    entries = holder.get(attribute.name, [])
    keep(holder, attribute, [entry for entry in entries if not any(_is_meant(attribute, entry, one) for one in listed)])


def _is_meant(attribute: Attribute, entry: Any, listed: Any) -> bool:
    """An entry is meant by its value and type; one without a value by everything that is said of it."""
    if not isinstance(entry, Mapping) or not isinstance(listed, Mapping):
        return bool(attribute.comparable(entry) == attribute.comparable(listed))
    telling = {"value", "type"} & listed.keys() if "value" in listed else listed.keys()
    if attribute.name == "members":
        telling = {"value"} & listed.keys()
    return all(_same(attribute, name, entry, listed) for name in telling)


def _same(attribute: Attribute, name: str, left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    sub = attribute.subs[name.lower()]
    return sub.comparable(left.get(name)) == sub.comparable(right.get(name))
