"""Values as they are kept: checked against the schema, under canonical names, otherwise exactly as they were sent."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from adapters.scim.errors import invalid_path, invalid_syntax, invalid_value, mutability, too_large
from adapters.scim.leniency import Leniency, Tolerance
from adapters.scim.paths import Target
from adapters.scim.scanner import is_clean
from adapters.scim.schema import Attribute, Kind, ResourceType, moment

MAX_TEXT = 16_384
MAX_VALUES = 200
MAX_MEMBERS = 5_000
"""Members of a group in one request; more come in several PATCH requests."""


def canonical(attribute: Attribute, value: object, tolerance: Tolerance) -> Any:
    """The value to keep; None if it is unassigned: null and the empty list are (RFC 7643 §2.5)."""
    if value is None:
        return None
    if not attribute.multi_valued:
        return canonical_entry(attribute, value, tolerance)
    if not isinstance(value, list):
        tolerance.need(Leniency.SINGLE_FOR_LIST, invalid_value(f"{attribute.name} must be a list"))
        value = [value]
    if len(value) > (MAX_MEMBERS if attribute.name == "members" else MAX_VALUES):
        raise too_large(f"{attribute.name} has too many values for one request; send them in several")
    entries = [canonical_entry(attribute, entry, tolerance) for entry in value if entry is not None]
    return unique([entry for entry in entries if entry is not None]) or None


def unique(entries: list[Any]) -> list[Any]:
    """Each value once, in the order of its first appearance (RFC 7643 §2.4)."""
    first: dict[bytes, Any] = {}
    for entry in entries:
        first.setdefault(msgspec.json.encode(entry, order="deterministic"), entry)
    return list(first.values())


def check_primary(attribute: Attribute, entries: object) -> None:
    """RFC 7643 §2.4: `primary` is true at most once."""
    if "primary" not in attribute.subs or not isinstance(entries, list):
        return
    if sum(entry.get("primary") is True for entry in entries) > 1:
        raise invalid_value(f"more than one of {attribute.name} is primary")


def spread(
    body: object, resource_type: ResourceType, extension: str | None, tolerance: Tolerance
) -> Iterator[tuple[Target, object]]:
    """Each attribute of an object with where it belongs: plain names, paths as keys, and objects under a URN."""
    if not isinstance(body, Mapping):
        raise invalid_syntax("attributes must come in a JSON object")
    seen: set[str] = set()
    for key, value in body.items():
        if key.lower() in seen:
            # Names are compared without case (RFC 7643 §2.1): which of the two was meant?
            raise invalid_syntax("an attribute is named twice")
        seen.add(key.lower())
        yield from _placed(key, value, resource_type, extension, tolerance)


def _placed(
    key: str, value: object, resource_type: ResourceType, extension: str | None, tolerance: Tolerance
) -> Iterator[tuple[Target, object]]:
    path = resource_type.resolve(key if extension is None or ":" in key else f"{extension}:{key}")
    if path is None:
        _ignore_unknown(key, tolerance)
    elif path.attribute is not None:
        if path.sub is not None or ":" in key:
            tolerance.need(
                Leniency.PATH_AS_KEY, invalid_path("a path stands as a key; send it as the operation's path")
            )
        yield Target(path.extension, path.attribute, None, path.sub), value
    elif path.extension is not None and extension is None:
        if value is None:
            yield Target(path.extension), None
        else:
            yield from spread(value, resource_type, path.extension, tolerance)
    else:
        raise invalid_syntax("a schema's attributes are nested where they can't be")


def _ignore_unknown(key: str, tolerance: Tolerance) -> None:
    if ":" in key:
        tolerance.need(Leniency.UNKNOWN_SCHEMA, invalid_syntax("it has an extension that is not supported"))
    else:
        tolerance.need(Leniency.UNKNOWN_ATTRIBUTE, invalid_syntax("it has an attribute that is not supported"))


def check_changeable(target: Target) -> None:
    """RFC 7644 §3.5.2: an operation whose path names a read-only attribute fails."""
    for attribute in (target.attribute, target.sub):
        if attribute is not None and attribute.is_read_only:
            raise mutability(f"{attribute.name} can't be changed")


def is_forgotten(target: Target, tolerance: Tolerance) -> bool:
    """Whether the value is taken off here, unread."""
    leaf = target.sub or target.attribute
    if leaf is None or not leaf.is_forgotten:
        return False
    tolerance.need(Leniency.PASSWORD_DROPPED, invalid_value(f"{leaf.name} is not kept here; leave it out"))
    return True


def canonical_entry(attribute: Attribute, value: object, tolerance: Tolerance) -> Any:
    """One value, also of an attribute that has a list of them."""
    if attribute.kind is Kind.COMPLEX:
        return _complex(attribute, value, tolerance)
    if attribute.kind is Kind.BOOLEAN:
        return _boolean(attribute, value, tolerance)
    if attribute.kind in {Kind.INTEGER, Kind.DECIMAL}:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole and not (attribute.kind is Kind.DECIMAL and isinstance(value, float)):
            raise invalid_value(f"{attribute.name} must be a {attribute.kind}")
        return value
    return _text(attribute, value)


def _text(attribute: Attribute, value: object) -> str:
    if not isinstance(value, str):
        raise invalid_value(f"{attribute.name} must be a string")
    if len(value) > MAX_TEXT:
        raise invalid_value(f"{attribute.name} must be at most {MAX_TEXT} characters")
    if not is_clean(value):
        raise invalid_value(f"{attribute.name} holds a NUL or a lone surrogate")
    if attribute.kind is Kind.BINARY and not _is_base64(value):
        raise invalid_value(f"{attribute.name} must be base64")
    if attribute.kind is Kind.DATE_TIME and moment(value) is None:
        raise invalid_value(f"{attribute.name} must be a date and time as in 2011-05-13T04:42:34Z")
    if attribute.required and not value.strip():
        raise invalid_value(f"{attribute.name} must not be empty")
    return value


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(value.encode(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _boolean(attribute: Attribute, value: object, tolerance: Tolerance) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        tolerance.need(
            Leniency.STRING_BOOLEAN, invalid_value(f"{attribute.name} must be true or false, without quotes")
        )
        return value.lower() == "true"
    raise invalid_value(f"{attribute.name} must be true or false")


def _complex(attribute: Attribute, value: object, tolerance: Tolerance) -> dict[str, Any] | None:
    if isinstance(value, str) and "value" in attribute.subs:
        tolerance.need(Leniency.BARE_VALUE, invalid_value(f"{attribute.name} must be an object"))
        value = {"value": value}
    if not isinstance(value, Mapping):
        raise invalid_value(f"{attribute.name} must be an object")
    if attribute.name == "roles":
        value = _unwrapped(value, tolerance)
    kept: dict[str, Any] = {}
    seen: set[str] = set()
    for key, part in value.items():
        sub = attribute.subs.get(key.lower())
        if sub is None:
            _ignore_unknown("", tolerance)
            continue
        if sub.name in seen:
            raise invalid_syntax(f"a sub-attribute of {attribute.name} is named twice")
        seen.add(sub.name)
        read = None if sub.is_read_only or sub.is_forgotten else canonical(sub, part, tolerance)
        if read is not None:
            kept[sub.name] = read
    if attribute.name == "members" and not kept.get("value"):
        raise invalid_value("a member needs a value: the id of a user or a group")
    return kept or None


class _RoleInString(msgspec.Struct):
    """What Microsoft Entra writes into the `value` of a role."""

    value: str
    display: str | None = msgspec.field(default=None, name="displayName")


def _unwrapped(role: Mapping[Any, Any], tolerance: Tolerance) -> Mapping[Any, Any]:
    wrapped = role.get("value")
    if not isinstance(wrapped, str) or not wrapped.startswith("{") or len(wrapped) > MAX_TEXT:
        return role
    try:
        read = msgspec.json.decode(wrapped, type=_RoleInString)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return role
    if not tolerance.permits(Leniency.JSON_IN_STRING):
        return role
    return {"display": read.display, **role, "value": read.value}
