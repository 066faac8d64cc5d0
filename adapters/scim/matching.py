"""Whether a resource satisfies a filter, and which filters an index can answer."""

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, assert_never

from adapters.scim.filters import And, Compare, Filter, Never, Not, Operator, Or, Present, Where
from adapters.scim.schema import Attribute, AttributePath

_HOLDS: Mapping[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQ: operator.eq,
    Operator.NE: operator.ne,
    Operator.CO: operator.contains,
    Operator.SW: str.startswith,
    Operator.EW: str.endswith,
    Operator.GT: operator.gt,
    Operator.GE: operator.ge,
    Operator.LT: operator.lt,
    Operator.LE: operator.le,
}


def matches(filter_: Filter, resource: Mapping[str, Any]) -> bool:
    """Total: a resource of an odd shape does not match, and nothing is raised."""
    match filter_:
        case Never():
            return False
        case And(terms):
            return all(matches(term, resource) for term in terms)
        case Or(terms):
            return any(matches(term, resource) for term in terms)
        case Not(inner):
            return not matches(inner, resource)
        case Present(path):
            return any(_is_present(value) for value in _values(path, resource))
        case Where(path, inner):
            return any(matches(inner, entry) for entry in _values(path, resource) if isinstance(entry, Mapping))
        case Compare():
            return _compares(filter_, resource)
        case _:
            assert_never(filter_)


def equality(filter_: Filter) -> tuple[str, str] | None:
    """(attribute, value) if the filter is only `attribute eq "value"` on a text of the core schema, for an index."""
    match filter_:
        case Compare(AttributePath(None, Attribute() as attribute, None), Operator.EQ, str(value)):
            return None if attribute.multi_valued else (attribute.name, value)
    return None


def _compares(test: Compare, resource: Mapping[str, Any]) -> bool:
    found = [value for value in _values(test.path, resource) if value is not None]
    leaf = test.path.leaf
    if test.against is None or leaf is None:
        return (not found) is (test.operator is Operator.EQ)
    holds = _HOLDS[test.operator]
    read = (leaf.comparable(value) for value in found)
    if test.operator is Operator.NE:
        # Of several values none may be equal, so that `ne` stays the opposite of `eq`; an absent one is not equal.
        return all(value is None or holds(value, test.against) for value in read)
    return any(value is not None and holds(value, test.against) for value in read)


def _values(path: AttributePath, resource: Mapping[str, Any]) -> Iterator[Any]:
    """The values a path leads to; those of a list one by one."""
    if path.attribute is None:
        return
    found = path.holder(resource).get(path.attribute.name)
    for entry in found if isinstance(found, list) else [found]:
        if path.sub is None:
            yield entry
        elif isinstance(entry, Mapping):
            yield entry.get(path.sub.name)


def _is_present(value: object) -> bool:
    """RFC 7644 §3.4.2.2, `pr`: a non-empty value, or a complex one that is not an empty node."""
    if isinstance(value, Mapping):
        return any(_is_present(part) for part in value.values() if not isinstance(part, Mapping | list))
    return value is not None and value not in ("", [])
