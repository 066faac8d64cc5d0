"""A schema of an action's metadata: a small part of JSON Schema, so that what it allows can be compared and sorted.

Objects are closed. What is personal follows from it: text is, unless it is one of a few words or marked otherwise.
"""

import re
from typing import Any, Final

import msgspec

from domain.command import Refused

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
MARK: Final = "x-personal"
MOST_BYTES: Final = 16_384
MOST_LEVELS: Final = 5
MOST_FIELDS: Final = 200
MOST_WORDS: Final = 200
LONGEST_TEXT: Final = 2_000
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_TYPES: Final = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_FORMATS: Final = frozenset({"date-time", "date", "uuid", "email", "uri", "ipv4", "ipv6"})
_OF_ALL: Final = frozenset({"type", "title", "description", "enum", "const", MARK})
_OF_TYPE: Final[dict[str, frozenset[str]]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "string": frozenset({"minLength", "maxLength", "format"}),
    "number": frozenset({"minimum", "maximum"}),
    "integer": frozenset({"minimum", "maximum"}),
}
_LOWER: Final = ("minimum", "minLength", "minItems")
_UPPER: Final = ("maximum", "maxLength", "maxItems")

Schema = dict[str, Any]


def normalised(text: str) -> Schema:
    """The schema as it holds, every object closed. Raises Refused with the path of what is not supported."""
    if len(text.encode()) > MOST_BYTES:
        raise Refused(f"the schema takes more than {MOST_BYTES} bytes: say less in it")
    try:
        schema = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise Refused("the schema is no JSON") from None
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise Refused('the schema must be of an object: {"type": "object", "properties": {…}}')
    dialect = schema.pop("$schema", DIALECT)
    if dialect != DIALECT:
        raise Refused(f"$schema must be {DIALECT}, or be left out")
    counted = [0]
    return _normalised(schema, "", 1, counted)


def _normalised(schema: Any, path: str, level: int, counted: list[int]) -> Schema:
    at = path or "/"
    counted[0] += 1
    if not isinstance(schema, dict):
        raise Refused(f"{at}: every field needs a schema of its own, as an object")
    if level > MOST_LEVELS or counted[0] > MOST_FIELDS:
        raise Refused(f"the schema has more than {MOST_LEVELS} levels or {MOST_FIELDS} fields: say less in it")
    types = types_of(schema)
    if not types or not types <= _TYPES or len(types - {"null"}) != 1:
        raise Refused(f'{at}: "type" must be one type of JSON, or a list of it and "null"')
    (kind,) = types - {"null"}
    known = _OF_ALL | _OF_TYPE.get(kind, frozenset())
    if set(schema) - known:
        raise Refused(f"{at}: only {', '.join(sorted(known))} are supported here")
    _check_words(schema, at)
    result: Schema = dict(schema)
    if kind == "object":
        if schema.get("additionalProperties", False) is not False or "enum" in schema or "const" in schema:
            raise Refused(f"{at}: an object must be closed, so additionalProperties can only be false; and has no enum")
        properties, required = schema.get("properties", {}), schema.get("required", [])
        if not isinstance(properties, dict) or not all(_NAME.fullmatch(each) for each in properties):
            raise Refused(f"{at}: properties must be named with letters, digits, _ . and -, at most 64")
        if not isinstance(required, list) or not all(isinstance(each, str) for each in required):
            raise Refused(f"{at}: required must be a list of names")
        if not set(required) <= set(properties) or len(set(required)) != len(required):
            raise Refused(f"{at}: required must name properties, each once")
        result["additionalProperties"] = False
        result["properties"] = {
            name: _normalised(each, f"{path}/{name}", level + 1, counted) for name, each in properties.items()
        }
    elif kind == "array":
        result["items"] = _normalised(schema.get("items"), f"{path}/*", level + 1, counted)
        if _marks_within(result["items"]):
            raise Refused(f"{at}: an array is personal or not as a whole: put {MARK} beside its type")
    return result


def _check_words(schema: Schema, at: str) -> None:
    for name in (*_LOWER, *_UPPER):
        bound = schema.get(name, 0)
        whole = name not in ("minimum", "maximum")
        if isinstance(bound, bool) or not isinstance(bound, int if whole else int | float) or (whole and bound < 0):
            raise Refused(f"{at}: {name} must be a number" + (", and whole" if whole else ""))
    if schema.get("format", "uuid") not in _FORMATS:
        raise Refused(f"{at}: format must be one of {', '.join(sorted(_FORMATS))}")
    if not isinstance(schema.get(MARK, False), bool):
        raise Refused(f"{at}: {MARK} must be true or false")
    for name in ("title", "description"):
        text = schema.get(name, "")
        if not isinstance(text, str) or len(text) > LONGEST_TEXT:
            raise Refused(f"{at}: {name} must be a text of at most {LONGEST_TEXT} characters")
    words = _words_of(schema)
    if words is not None and not (
        isinstance(words, list)
        and 0 < len(words) <= MOST_WORDS
        and all(each is None or isinstance(each, str | int | float) for each in words)
    ):
        raise Refused(f"{at}: enum must be a list of up to {MOST_WORDS} texts, numbers, true, false or null")


def types_of(schema: Schema) -> frozenset[str]:
    """The types that a schema allows; none if they are not said as they should be."""
    named = schema.get("type")
    if isinstance(named, str):
        return frozenset({named})
    if isinstance(named, list) and all(isinstance(each, str) for each in named):
        return frozenset(named)
    return frozenset()


def _words_of(schema: Schema) -> Any:
    """The only values that are allowed, if they are listed."""
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _marks_within(schema: Schema) -> bool:
    inner = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    return MARK in schema or any(_marks_within(each) for each in inner)


def _is_personal(schema: Schema, inherited: bool | None) -> bool:
    """Whether what stands here is sealed: as it is marked, or what it is in is; else if it is free text."""
    mark = schema.get(MARK, inherited)
    if mark is not None:
        return bool(mark)
    if "items" in schema:
        return _holds_text(schema["items"])
    return _holds_text(schema)


def _holds_text(schema: Schema) -> bool:
    types = types_of(schema)
    if "object" in types:
        return any(_holds_text(each) for each in schema["properties"].values())
    if "array" in types:
        return _holds_text(schema["items"])
    return "string" in types and _words_of(schema) is None


def parted(schema: Schema, said: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What of a valid document names nobody, and what is personal; each shaped like the document."""
    return _parted(schema, said, None)


def _parted(schema: Schema, said: dict[str, Any], inherited: bool | None) -> tuple[dict[str, Any], dict[str, Any]]:
    plain: dict[str, Any] = {}
    personal: dict[str, Any] = {}
    for name, value in said.items():
        field = schema["properties"][name]
        if isinstance(value, dict):
            in_plain, in_personal = _parted(field, value, field.get(MARK, inherited))
            if in_plain or not in_personal:
                plain[name] = in_plain
            if in_personal:
                personal[name] = in_personal
        elif _is_personal(field, inherited):
            personal[name] = value
        else:
            plain[name] = value
    return plain, personal


def joined(plain: dict[str, Any], personal: dict[str, Any]) -> dict[str, Any]:
    """What `parted` parted."""
    result = dict(plain)
    for name, value in personal.items():
        mine = result.get(name)
        both = isinstance(mine, dict) and isinstance(value, dict)
        result[name] = joined(mine, value) if both else value  # type: ignore[arg-type]
    return result


def must_be_growth(old: Schema, new: Schema) -> None:
    """Raises Refused unless all that was valid still is, and means the same."""
    _must_be_growth(old, new, "", None, None)


def _must_be_growth(old: Schema, new: Schema, path: str, was: bool | None, will: bool | None) -> None:
    at = path or "/"
    old_types, new_types = types_of(old), types_of(new)
    if "number" in new_types:
        new_types |= {"integer"}
    if not old_types <= new_types:
        raise _outgrown(at, "its type can't be narrowed")
    old_words, new_words = _words_of(old), _words_of(new)
    if new_words is not None and (old_words is None or not all(each in new_words for each in old_words)):
        raise _outgrown(at, "values that were allowed must stay so")
    if any(name in new and (name not in old or old[name] < new[name]) for name in _LOWER) or any(
        name in new and (name not in old or old[name] > new[name]) for name in _UPPER
    ):
        raise _outgrown(at, "its bounds can't be narrowed")
    if "format" in new and old.get("format") != new["format"]:
        raise _outgrown(at, "its format can't be narrowed")
    if "object" not in old_types and _is_personal(old, was) != _is_personal(new, will):
        raise _outgrown(at, "what is personal stays so, and what is not neither")
    was, will = old.get(MARK, was), new.get(MARK, will)
    if "items" in old:
        _must_be_growth(old["items"], new["items"], f"{path}/*", was, will)
    if "properties" in old:
        if not set(new.get("required", ())) <= set(old.get("required", ())):
            raise _outgrown(at, "nothing more can be required")
        for name, field in old["properties"].items():
            if name not in new["properties"]:
                raise _outgrown(f"{path}/{name}", "a field can't be taken away")
            _must_be_growth(field, new["properties"][name], f"{path}/{name}", was, will)


def _outgrown(at: str, why: str) -> Refused:
    return Refused(f"{at}: {why} within a version; register the schema under the next version")
