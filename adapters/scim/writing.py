"""Writing where a target says: whole resources, and the `add` and `replace` operations (RFC 7644 §3.5.2.1, .3)."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from adapters.scim.errors import invalid_value, mutability, no_target, too_large
from adapters.scim.filters import And, Compare, Filter, Operator
from adapters.scim.leniency import Leniency, Tolerance
from adapters.scim.matching import matches
from adapters.scim.paths import Target
from adapters.scim.removing import keep, unassign
from adapters.scim.schema import Attribute, Kind, ResourceType
from adapters.scim.values import (
    MAX_MEMBERS,
    MAX_VALUES,
    canonical,
    canonical_entry,
    check_primary,
    is_forgotten,
    spread,
)


class Manner(StrEnum):
    WHOLE = "whole"
    """A resource that is created or replaced."""
    ADD = "add"
    REPLACE = "replace"


def write(
    draft: dict[str, Any],
    target: Target,
    value: object,
    resource_type: ResourceType,
    tolerance: Tolerance,
    manner: Manner,
) -> None:
    """Changes the draft, which is lost if this raises. What the path itself may name is checked by the caller."""
    if target.attribute is None:
        _write_object(draft, target, value, resource_type, tolerance, manner)
        return
    if is_forgotten(target, tolerance):
        return
    holder = draft if target.extension is None else draft.setdefault(target.extension, {})
    if target.where is None and target.sub is None:
        _write_attribute(holder, target, value, tolerance, manner)
    elif target.attribute.multi_valued:
        _write_entries(holder, target, value, tolerance, manner)
    else:
        _write_sub_attribute(holder, target, value, tolerance, manner)


def _write_object(
    draft: dict[str, Any],
    target: Target,
    value: object,
    resource_type: ResourceType,
    tolerance: Tolerance,
    manner: Manner,
) -> None:
    if value is None and target.extension is not None:
        if manner is not Manner.ADD:
            draft.pop(target.extension, None)
        return
    for place, part in spread(value, resource_type, target.extension, tolerance):
        if _is_passed_over(place, tolerance, manner):
            continue
        write(draft, place, part, resource_type, tolerance, manner)


def _is_passed_over(place: Target, tolerance: Tolerance, manner: Manner) -> bool:
    """RFC 7643 §2.2: read-only attributes in a resource that is sent whole are ignored. In a PATCH, leniently too."""
    for attribute in (place.attribute, place.sub):
        if attribute is not None and attribute.is_read_only:
            if manner is not Manner.WHOLE:
                refused = mutability(f"{attribute.name} can't be changed")
                tolerance.need(Leniency.READ_ONLY_IN_VALUE, refused)
            return True
    return False


def _write_attribute(
    holder: dict[str, Any], target: Target, value: object, tolerance: Tolerance, manner: Manner
) -> None:
    attribute = target.attribute or Attribute(name="")
    new = canonical(attribute, value, tolerance)
    if new is None and not (attribute.kind is Kind.COMPLEX and isinstance(value, Mapping)):
        _clear(holder, target, manner)
    elif attribute.multi_valued and manner is Manner.ADD:
        _append(holder, attribute, new)
    elif attribute.kind is Kind.COMPLEX and not attribute.multi_valued:
        _merge(holder, attribute, new or {}, _nulls(attribute, value))
    else:
        check_primary(attribute, new)
        holder[attribute.name] = new


def _clear(holder: dict[str, Any], target: Target, manner: Manner) -> None:
    """Null is unassigned (RFC 7643 §2.5): added it changes nothing, and a whole resource simply lacks it."""
    if manner is Manner.REPLACE:
        unassign(holder, target)


def _nulls(attribute: Attribute, value: object) -> set[str]:
    """The sub-attributes that were sent as unassigned."""
    sent = value.items() if isinstance(value, Mapping) else ()
    subs = [attribute.subs.get(str(key).lower()) for key, part in sent if part is None]
    return {sub.name for sub in subs if sub is not None}


def _merge(holder: dict[str, Any], attribute: Attribute, new: Mapping[str, Any], cleared: Iterable[str] = ()) -> None:
    """RFC 7644 §3.5.2.1, .3: sub-attributes that are not specified are left unchanged."""
    current = holder.get(attribute.name, {})
    merged = {**current, **new}
    if "value" in new and new["value"] != current.get("value") and "$ref" not in new:
        merged.pop("$ref", None)  # It referred to who was there before.
    for name in cleared:
        merged.pop(name, None)
    keep(holder, attribute, [merged] if merged else [])


def _append(holder: dict[str, Any], attribute: Attribute, new: list[Any]) -> None:
    """Adds what is not there yet. RFC 7643 §2.4: the same type and value does not come twice."""
    entries = list(holder.get(attribute.name, []))
    places = {_identity(attribute, entry): place for place, entry in enumerate(entries)}
    added = []
    for entry in new:
        place = places.setdefault(_identity(attribute, entry), len(entries))
        if place == len(entries):
            entries.append(entry)
        elif isinstance(entry, dict):
            entries[place] = {**entries[place], **entry}
        added.append(entries[place])
    _store(holder, attribute, entries, added)


def _identity(attribute: Attribute, entry: Any) -> Any:
    if not isinstance(entry, Mapping):
        return entry
    if "value" not in entry:
        return tuple(sorted(entry.items()))
    return entry["value"] if attribute.name == "members" else (entry["value"], entry.get("type"))


def _store(holder: dict[str, Any], attribute: Attribute, entries: list[Any], changed: list[Any]) -> None:
    """RFC 7644 §3.5.2: a value made primary takes that from every other value."""
    if len(entries) > (MAX_MEMBERS if attribute.name == "members" else MAX_VALUES):
        raise too_large(f"{attribute.name} would have too many values")
    check_primary(attribute, changed)
    if "primary" in attribute.subs and any(entry.get("primary") is True for entry in changed):
        for entry in entries:
            if entry.get("primary") is True and not any(entry is one for one in changed):
                entry["primary"] = False
    keep(holder, attribute, entries)


def _write_sub_attribute(
    holder: dict[str, Any], target: Target, value: object, tolerance: Tolerance, manner: Manner
) -> None:
    attribute, sub = target.attribute, target.sub
    if attribute is None or sub is None:
        return
    new = canonical(sub, value, tolerance)
    if new is None:
        _clear(holder, target, manner)
    else:
        _merge(holder, attribute, {sub.name: new})


def _write_entries(holder: dict[str, Any], target: Target, value: object, tolerance: Tolerance, manner: Manner) -> None:
    """Writes into the values of a list that the target selects, all of them if it has no filter."""
    attribute = target.attribute or Attribute(name="")
    new = None if value is None else canonical_entry(target.sub or attribute, value, tolerance)
    if new is None:
        _clear(holder, target, manner)
        return
    part = new if target.sub is None else {target.sub.name: new}
    entries = list(holder.get(attribute.name, []))
    changed = [entry for entry in entries if target.where is None or matches(target.where, entry)]
    if not changed:
        changed = [_missing_entry(target, part, tolerance)]
        entries += changed
    else:
        for entry in changed:
            _write_entry(entry, target, part, tolerance, manner)
    _store(holder, attribute, entries, changed)


def _missing_entry(target: Target, part: Mapping[str, Any], tolerance: Tolerance) -> dict[str, Any]:
    """RFC 7644 §3.5.2.3 has noTarget for this; Microsoft Entra relies on the entry that the filter describes."""
    refused = no_target("no value is selected by the filter")
    described = {} if target.where is None else _described(target.where)
    if described is None:
        raise refused
    tolerance.need(Leniency.CREATE_MISSING_ENTRY, refused)
    return {**described, **part}


def _write_entry(
    entry: dict[str, Any], target: Target, part: Mapping[str, Any], tolerance: Tolerance, manner: Manner
) -> None:
    if target.sub is not None:
        immutable = target.sub.mutability is target.sub.mutability.immutable
        if immutable and entry.get(target.sub.name) not in (None, part[target.sub.name]):
            raise mutability(f"{target.sub.name} can't be changed; replace the whole value")
    if target.sub is None and manner is Manner.REPLACE:
        selector = _described(target.where) if target.where is not None else None
        lost = {name: selected for name, selected in (selector or {}).items() if name not in part}
        entry.clear()
        if lost and tolerance.permits(Leniency.KEEP_SELECTOR):
            entry.update(lost)
    entry.update(part)
    if not entry:
        raise invalid_value("a value must have at least one sub-attribute")


def _described(where: Filter) -> dict[str, Any] | None:
    """The entry that a filter of equalities describes; None for any other filter."""
    described: dict[str, Any] = {}
    for term in where.terms if isinstance(where, And) else (where,):
        match term:
            case Compare(path, Operator.EQ, value) if path.attribute is not None and value is not None:
                if path.attribute.is_read_only or described.setdefault(path.attribute.name, value) != value:
                    return None
            case _:
                return None
    return described
