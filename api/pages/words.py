"""Words: how ids, event types, values and times are said on a page."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from domain.ids import DEPLOYMENT, KINDS

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_ID: Final = re.compile(r"([a-z]{3})_([0-9a-f]{32})")
_ID_WITHIN: Final = re.compile(r"\b[a-z]{3}_(?:[0-9a-f]{32}|owner)\b")
_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,6})?Z")
_STATE_OF: Final = {"usr": "users", "grp": "groups", "rol": "roles", "flg": "flags", "key": "keys"}
"""Where the state of what an id names is shown."""
_LETTERS: Final = {"Api": "API", "Scim": "SCIM", "Url": "URL"}
_SAID: Final = {"id": "ID", "url": "URL", "nth": "nth"}


_MARKS: Final = (
    ("refused", ("Refused", "RefusalsSummarised")),
    ("gone", ("Deleted", "Removed", "Revoked", "Withdrawn", "Retired", "Erased", "Expired", "Archived", "Released")),
    ("stopped", ("Suspended", "Deactivated", "SwitchedOff", "Paused", "Disabled", "Failed")),
    (
        "new",
        ("Created", "Provisioned", "Added", "Assigned", "Issued", "Defined", "Reactivated", "Resumed", "SwitchedOn"),
    ),
)


def mark_of(type_name: str) -> str:
    """What kind of change an event is, for the eye: its words say it too."""
    return next((mark for mark, ends in _MARKS if type_name.endswith(ends)), "changed")


def phrase(name: str) -> str:
    """`UserDeactivated` as "User deactivated"; a product's own `invoice.approved` as it is."""
    if not name.isascii() or "." in name or ":" in name:
        return name
    first, *rest = (_LETTERS.get(each, each) for each in _HUMP.split(name))
    return " ".join((first, *(each if each.isupper() else each.lower() for each in rest)))


def field_name(name: str) -> str:
    """`display_name` as "Display name"."""
    said = [_SAID.get(each, each) for each in name.split("_")]
    text = " ".join(said)
    return text[:1].upper() + text[1:]


def brief(value: str) -> str:
    """An id with its end alone, which is random and so tells ids apart; other text as it is."""
    match = _ID.fullmatch(value)
    return f"{match[1]}_…{match[2][-6:]}" if match else value


def time_parts(text: str) -> tuple[str, str]:
    """The date, and the time to the second with its offset: RFC 3339 with a space between."""
    date, _, time = text.partition("T")
    return date, f"{time[:8]}Z"


def is_time(text: str) -> bool:
    """Whether it is a time as our answers say them."""
    return _TIME.fullmatch(text) is not None


def number(value: int) -> str:
    """With commas between thousands."""
    return f"{value:,}"


def amount(value: int, one: str, many: str) -> str:
    """`1 event`, `2,048 events`."""
    return f"{value:,} {one if value == 1 else many}"


def naming(text: str, names: Mapping[str, str]) -> str:
    """A sentence of ours with what its ids are called in their place; it begins with a capital."""
    said = _ID_WITHIN.sub(lambda match: flat(names.get(match[0]) or brief(match[0])), text)
    return said[:1].upper() + said[1:]


def ids_within(texts: Iterable[str]) -> set[str]:
    """The ids that sentences of ours name."""
    return {match for text in texts for match in _ID_WITHIN.findall(text)}


def plain_value(value: Any) -> str:
    """A value of an event or a row, as text."""
    match value:
        case None:
            return "—"
        case bool():
            return "yes" if value else "no"
        case str():
            return value
        case list() | tuple() if all(isinstance(each, str) for each in value):
            return ", ".join(value) if value else "none"
        case dict() | list() | tuple():
            return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return str(value)


_MOST_LEAVES: Final = 100
_TURNS: Final = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def flat(text: str) -> str:
    """Without the characters that turn the direction of text: for where no element can hold them in."""
    return _TURNS.sub("", text)


def leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """A nested value as its parts that are not nested, each with where it is; what is empty is left out."""
    if isinstance(value, dict):
        inner = [(str(name), each) for name, each in value.items()]
    elif isinstance(value, list | tuple) and any(isinstance(each, dict | list) for each in value):
        inner = [(str(place), each) for place, each in enumerate(value, 1)]
    else:
        return [] if value in (None, [], ()) else [(path, value)]
    found = [leaf for name, each in inner for leaf in leaves(each, f"{path} {name}".strip())]
    return found[:_MOST_LEAVES]


def parsed(value: Any) -> Any:
    """The JSON object that a text holds; anything else as it is."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def address_of(value: str, base: str) -> str | None:
    """The page of what an id names, below a tenant's address; None if it has none."""
    match = _ID.fullmatch(value)
    if value == "rol_owner" or (match and match[1] in _STATE_OF):
        section = _STATE_OF[value[:3]]
        return f"{base}/state/{section}/{value}"
    return None


def subject_of(tag: str) -> str | None:
    """The id in a tag that names a subject; None for edges, names and what is tagged besides."""
    kind, _, value = tag.partition(":")
    if value == DEPLOYMENT or kind == "handle" or KINDS.get(value[:3]) != kind:
        return None
    return value if _ID.fullmatch(value) or value == "rol_owner" else None


def query(parameters: Mapping[str, Any], **changes: Any) -> str:
    """A query string: the parameters with some changed, or left out where None."""
    merged = {**parameters, **changes}
    kept = {name: value for name, value in merged.items() if value not in (None, "", [], ())}
    return "?" + urlencode(kept, doseq=True, quote_via=quote) if kept else "?"
