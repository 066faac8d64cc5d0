"""What a list request asks for (RFC 7644 §3.4.2, §3.4.3): filter, order, page and attributes, from a URL or a body."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from adapters.scim.errors import invalid_path, invalid_syntax, invalid_value
from adapters.scim.scanner import MAX_LENGTH, is_clean
from adapters.scim.schema import AttributePath, Comparable, ResourceType

MAX_NAMES = 200

_WHOLE = re.compile("[+-]?[0-9]{1,9}")


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """`start_index` counts from 1; `count` is None if the client leaves the size of the page to us."""

    attributes: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    filter: str | None = None
    sort_by: str | None = None
    descending: bool = False
    start_index: int = 1
    count: int | None = None


def read_query(parameters: Mapping[str, object]) -> Query:
    """From the parameters of a URL, all strings, or the JSON object of a `/.search`; unknown names pass."""
    named = {name.lower(): value for name, value in parameters.items() if value is not None}
    start_index = _number(named, "startIndex")
    count = _number(named, "count")
    return Query(
        attributes=_names(named, "attributes"),
        excluded=_names(named, "excludedAttributes"),
        filter=_text(named, "filter"),
        sort_by=_text(named, "sortBy"),
        descending=_descending(named),
        # RFC 7644 §3.4.2.4: less than 1 is 1, a negative count is 0.
        start_index=max(1, start_index) if start_index is not None else 1,
        count=max(0, count) if count is not None else None,
    )


def sort(
    resources: Iterable[Mapping[str, Any]], sort_by: str, descending: bool, resource_types: Sequence[ResourceType]
) -> list[Mapping[str, Any]]:
    """RFC 7644 §3.4.2.3. Resources without the value come last, or first if descending; equals keep their order."""
    paths = {kind.urn: kind.resolve(sort_by) for kind in resource_types}
    if not any(paths.values()):
        raise invalid_path("sortBy names no attribute of these resources")
    return sorted(resources, key=lambda resource: _sort_key(resource, paths), reverse=descending)


def _sort_key(resource: Mapping[str, Any], paths: Mapping[str, AttributePath | None]) -> tuple[bool, str, Comparable]:
    path = next((paths[urn] for urn in resource.get("schemas", ()) if urn in paths), None)
    value = None if path is None else _sort_value(path, resource)
    return (True, "", "") if value is None else (False, type(value).__name__, value)


def _sort_value(path: AttributePath, resource: Mapping[str, Any]) -> Comparable | None:
    leaf = path.leaf
    compared = leaf.compared if leaf is not None else None
    if path.attribute is None or leaf is None or compared is None or leaf.is_forgotten:
        return None
    found = path.holder(resource).get(path.attribute.name)
    if isinstance(found, list):
        # Of several values the primary one counts, else the first.
        found = next(
            (entry for entry in found if isinstance(entry, Mapping) and entry.get("primary") is True), found[0]
        )
    if isinstance(found, Mapping):
        found = found.get((path.sub or compared).name)
    return compared.comparable(found)


def _text(named: Mapping[str, object], name: str) -> str | None:
    value = named.get(name.lower())
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > MAX_LENGTH or not is_clean(value):
        raise invalid_value(f"{name} must be a string of at most {MAX_LENGTH} characters, without NUL")
    return value


def _names(named: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = named.get(name.lower(), ())
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, Sequence) or not all(isinstance(one, str) and is_clean(one) for one in names):
        raise invalid_syntax(f"{name} must be names, separated by commas or in a list")
    if len(names) > MAX_NAMES:
        raise invalid_value(f"{name} may have at most {MAX_NAMES} names")
    return tuple(one.strip() for one in names if one.strip())


def _number(named: Mapping[str, object], name: str) -> int | None:
    value = named.get(name.lower())
    if value is None:
        return None
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9:
        return value
    raise invalid_value(f"{name} must be a whole number")


def _descending(named: Mapping[str, object]) -> bool:
    order = (_text(named, "sortOrder") or "ascending").lower()
    if order not in {"ascending", "descending"}:
        raise invalid_value("sortOrder must be ascending or descending")
    return order == "descending"
