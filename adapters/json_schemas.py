"""Documents checked against JSON Schema (draft 2020-12), with errors that repeat nothing of the document."""

from functools import lru_cache
from typing import Any, Final

import jsonschema_rs
import msgspec

MOST_TOLD: Final = 3
_CACHED: Final = 2_000

_WORDS: Final = {
    "additionalProperties": "it has a member that the schema does not name",
    "required": "something is missing that the schema requires",
    "type": "it is of another type",
    "enum": "it is none of the values that the schema lists",
    "const": "it is not the value that the schema lists",
    "format": "it does not have the format that the schema asks for",
    "minimum": "it is less than the schema allows",
    "maximum": "it is more than the schema allows",
    "minLength": "it is shorter than the schema allows",
    "maxLength": "it is longer than the schema allows",
    "minItems": "it has fewer items than the schema allows",
    "maxItems": "it has more items than the schema allows",
}


def objection(schema: str, document: Any) -> str | None:
    """Why a document is not as a schema (JSON text) says; None if it is. Paths are of names that the schema has."""
    validator = _validator(schema)
    if validator.is_valid(document):
        return None
    told = []
    for error in validator.iter_errors(document):
        word = str(error.schema_path[-1]) if error.schema_path else ""
        path = "/".join(["metadata", *(str(each) for each in error.instance_path)])
        told.append(f"{path}: {_WORDS.get(word, 'it is not as the schema says')}")
        if len(told) == MOST_TOLD:
            break
    return "; ".join(told)


@lru_cache(_CACHED)
def _validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    """Patterns take time in proportion to the text, and nothing is fetched."""
    return jsonschema_rs.Draft202012Validator(
        msgspec.json.decode(schema),
        validate_formats=True,
        pattern_options=jsonschema_rs.RegexOptions(),
        offline=True,
    )
