"""A resource as it is read from a request and kept: canonical names, no nulls, nothing that we don't keep."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from adapters.scim.errors import invalid_syntax, invalid_value, too_large
from adapters.scim.leniency import Leniency, Tolerance
from adapters.scim.paths import Target
from adapters.scim.schema import ResourceType
from adapters.scim.writing import Manner, write

LIST_URN = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
MAX_SIZE = 32_768
"""Bytes of a resource as JSON, without its members: what one event can hold, sealed."""


def read_resource(body: object, resource_type: ResourceType, tolerance: Tolerance | None = None) -> dict[str, Any]:
    """The canonical form of a POST or PUT body (RFC 7644 §3.3, §3.5.1).

    Passwords are gone, read-only attributes ignored, values otherwise exactly as sent. An attribute that was not sent,
    or sent as null, is absent: what absence means (`active`, `members`) is the caller's to say. Raises ScimError.
    """
    tolerance = tolerance or Tolerance()
    if not isinstance(body, Mapping):
        raise invalid_syntax("the body must be a JSON object")
    _check_schemas(body, resource_type, tolerance)
    draft: dict[str, Any] = {}
    write(draft, Target(), body, resource_type, tolerance, Manner.WHOLE)
    return completed(draft, resource_type)


def completed(draft: Mapping[str, Any], resource_type: ResourceType) -> dict[str, Any]:
    """The same resource, checked as a whole, its `schemas` naming what it has (RFC 7643 §3)."""
    kept = {name: value for name, value in draft.items() if name != "schemas" and value not in (None, {}, [])}
    for attribute in resource_type.attributes.values():
        if attribute.required and attribute.name not in kept:
            raise invalid_value(f"{attribute.name} is required")
    size = len(msgspec.json.encode({name: value for name, value in kept.items() if name != "members"}))
    if size > MAX_SIZE:
        raise too_large(f"the resource must be at most {MAX_SIZE} bytes of JSON")
    return {"schemas": schemas_of(kept, resource_type), **kept}


def schemas_of(resource: Mapping[str, Any], resource_type: ResourceType) -> list[str]:
    return [resource_type.urn, *(urn for urn in resource_type.extensions if urn in resource)]


def names_schema(schemas: object, urn: str) -> bool:
    """Whether the `schemas` of a body name this one; URNs are compared without case."""
    return isinstance(schemas, list) and any(isinstance(name, str) and name.lower() == urn.lower() for name in schemas)


def list_response(resources: Sequence[Mapping[str, Any]], total: int, start_index: int = 1) -> dict[str, Any]:
    """RFC 7644 §3.4.2. The numbers are numbers, and there is always a list, also of nothing."""
    return {
        "schemas": [LIST_URN],
        "totalResults": total,
        "startIndex": start_index,
        "itemsPerPage": len(resources),
        "Resources": list(resources),
    }


def _check_schemas(body: Mapping[Any, Any], resource_type: ResourceType, tolerance: Tolerance) -> None:
    schemas = next((value for key, value in body.items() if str(key).lower() == "schemas"), None)
    if not names_schema(schemas, resource_type.urn):
        tolerance.need(Leniency.MISSING_SCHEMAS, invalid_syntax(f"schemas must name {resource_type.urn}"))
    known = {urn.lower() for urn in (resource_type.urn, *resource_type.extensions)}
    for name in schemas if isinstance(schemas, list) else ():
        if not isinstance(name, str):
            raise invalid_syntax("schemas must be a list of strings")
        if name.lower() not in known:
            tolerance.need(Leniency.UNKNOWN_SCHEMA, invalid_syntax("schemas names one that is not supported"))
