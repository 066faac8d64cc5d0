"""What a PATCH operation points at (RFC 7644 §3.5.2): an attribute, selected values, a sub-attribute of those."""

import msgspec

from adapters.scim.errors import ScimError, invalid_path
from adapters.scim.filters import Filter, parse_selection
from adapters.scim.leniency import Tolerance
from adapters.scim.scanner import Scanner
from adapters.scim.schema import Attribute, AttributePath, Kind, ResourceType


class Target(msgspec.Struct, frozen=True):
    """Without attribute: the whole extension, or the resource itself."""

    extension: str | None = None
    attribute: Attribute | None = None
    where: Filter | None = None
    sub: Attribute | None = None


def parse_path(text: str, resource_type: ResourceType, tolerance: Tolerance | None = None) -> Target:
    """Raises ScimError `invalidPath`, or `invalidFilter` for what stands between brackets."""
    scanner = Scanner(text, _refuse)
    path = resource_type.resolve(scanner.take_word("an attribute"))
    if path is None:
        raise _refuse(f"names no attribute that a {resource_type.name} has")
    if not scanner.peek().is_mark("["):
        scanner.finish()
        return Target(path.extension, path.attribute, None, path.sub)
    return _selection(scanner, path, tolerance or Tolerance())


def _selection(scanner: Scanner, path: AttributePath, tolerance: Tolerance) -> Target:
    attribute = path.attribute
    if attribute is None or path.sub is not None or not attribute.multi_valued or attribute.kind is not Kind.COMPLEX:
        raise _refuse("has brackets after something that is not a list of complex values")
    scanner.take_mark("[")
    where = parse_selection(scanner, attribute, tolerance)
    if scanner.peek().kind == "end":
        return Target(path.extension, attribute, where)
    name = scanner.take_word("the end, or a dot and a sub-attribute")
    scanner.finish()
    sub = attribute.subs.get(name[1:].lower()) if name.startswith(".") else None
    if sub is None:
        raise _refuse("names no sub-attribute after its brackets")
    return Target(path.extension, attribute, where, sub)


def _refuse(detail: str) -> ScimError:
    return invalid_path(f"the path {detail}")
