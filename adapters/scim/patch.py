"""PATCH (RFC 7644 §3.5.2): operations on one resource, in order, all or none."""

import copy
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from adapters.scim.errors import ScimError, invalid_syntax, invalid_value, no_target, too_large
from adapters.scim.leniency import Leniency, Tolerance
from adapters.scim.paths import Target, parse_path
from adapters.scim.removing import remove
from adapters.scim.resources import completed, names_schema
from adapters.scim.schema import ResourceType
from adapters.scim.values import check_changeable
from adapters.scim.writing import Manner, write

PATCH_URN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
MAX_OPERATIONS = 1_000


class Op(StrEnum):
    ADD = "add"
    REPLACE = "replace"
    REMOVE = "remove"


class Operation(msgspec.Struct, frozen=True):
    """`value` is UNSET when there was none, which is not null."""

    op: Op
    target: Target
    value: object = msgspec.UNSET


def read_patch(body: object, tolerance: Tolerance) -> list[object]:
    """The operations of a request's body, each still to be read."""
    if not isinstance(body, Mapping):
        raise invalid_syntax("the body must be a PatchOp object")
    named = {str(key).lower(): value for key, value in body.items()}
    if not names_schema(named.get("schemas"), PATCH_URN):
        tolerance.need(Leniency.MISSING_SCHEMAS, invalid_syntax(f"schemas must name {PATCH_URN}"))
    operations = named.get("operations")
    if not isinstance(operations, list) or not operations:
        raise invalid_syntax("Operations must be a list with at least one operation")
    return operations


def apply(
    resource: Mapping[str, Any],
    operations: Sequence[object],
    resource_type: ResourceType,
    tolerance: Tolerance | None = None,
) -> dict[str, Any]:
    """The resource as it is after all operations. The one passed in is never touched.

    Raises ScimError naming the operation: invalidSyntax, -Path, -Filter or -Value, mutability, noTarget.
    """
    tolerance = tolerance or Tolerance()
    draft = copy.deepcopy(dict(resource))
    for number, operation in enumerate(read_operations(operations, resource_type, tolerance), start=1):
        try:
            _perform(draft, operation, resource_type, tolerance)
        except ScimError as error:
            raise error.within(f"operation {number}") from None
    return completed(draft, resource_type)


def read_operations(
    operations: Sequence[object], resource_type: ResourceType, tolerance: Tolerance
) -> tuple[Operation, ...]:
    if len(operations) > MAX_OPERATIONS:
        raise too_large(f"a PATCH may have {MAX_OPERATIONS} operations; send the rest in another")
    read = []
    for number, raw in enumerate(operations, start=1):
        try:
            read.append(_operation(raw, resource_type, tolerance))
        except ScimError as error:
            raise error.within(f"operation {number}") from None
    return tuple(read)


def _operation(raw: object, resource_type: ResourceType, tolerance: Tolerance) -> Operation:
    if not isinstance(raw, Mapping):
        raise invalid_syntax("it must be an object")
    op = _op(raw.get("op"), tolerance)
    path = raw.get("path")
    if path is not None and not isinstance(path, str):
        raise invalid_syntax("path must be a string")
    target = Target() if path is None else parse_path(path, resource_type, tolerance)
    value = raw.get("value", msgspec.UNSET)
    if op is Op.REMOVE and target == Target():
        raise no_target("remove needs a path")  # RFC 7644 §3.5.2.2
    if op is not Op.REMOVE and value is msgspec.UNSET:
        raise invalid_value(f"{op} needs a value")
    return Operation(op, target, value)


def _op(name: object, tolerance: Tolerance) -> Op:
    refused = invalid_syntax("op must be add, replace or remove")
    if not isinstance(name, str) or name.lower() not in Op.__members__.values():
        raise refused
    if name != name.lower():
        tolerance.need(Leniency.OPERATION_CASE, refused)
    return Op(name.lower())


def _perform(draft: dict[str, Any], operation: Operation, resource_type: ResourceType, tolerance: Tolerance) -> None:
    if operation.op is Op.REMOVE:
        remove(draft, operation.target, operation.value, tolerance)
    else:
        manner = Manner.REPLACE if operation.op is Op.REPLACE else Manner.ADD
        check_changeable(operation.target)
        write(draft, operation.target, operation.value, resource_type, tolerance, manner)
