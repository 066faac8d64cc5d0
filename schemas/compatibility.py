"""Whether the revisions of an event may stand beside each other for ever: every reader reads every writer.

That is FULL_TRANSITIVE, and a little more, because the bytes themselves are proved and decoded in parts: what the
sequencer stamps and who caused the event come first and are the same in all revisions, and no field changes its type,
its default or its name.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise
from typing import Any, Final

from schemas.registry import Schema, published

LAST_OF_PREFIX: Final = "request_address"
"""The last of the fields that every event has."""

Field = dict[str, Any]


class Incompatible(Exception):
    """A schema that may not be released; the message says which field of which revisions, and what to do."""


def check(schemas: Iterable[Schema] | None = None) -> None:
    """Raises Incompatible with everything that is wrong; without an argument, of all that is published."""
    found = list(conflicts(published() if schemas is None else schemas))
    if found:
        raise Incompatible("\n".join(found))


def conflicts(schemas: Iterable[Schema]) -> Iterator[str]:
    """What is wrong between any two revisions of an event, and in their numbering; one sentence each."""
    by_event = sorted(schemas, key=lambda each: (each.event, each.revision))
    for event, group in groupby(by_event, key=lambda each: each.event):
        revisions = list(group)
        numbers = [each.revision for each in revisions]
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"{event}: the revisions are {numbers}; number them 1, 2, 3 …"
        for earlier, later in pairwise(revisions):
            if earlier.id >= later.id:
                yield f"{event}: revision {later.revision} has an older id than revision {earlier.revision}"
        for place, later in enumerate(revisions):
            for earlier in revisions[:place]:
                for problem in _between(earlier.avro, later.avro):
                    yield f"{event}: revisions {earlier.revision} and {later.revision}: {problem}"


def _between(earlier: dict[str, Any], later: dict[str, Any]) -> Iterator[str]:
    for what in ("type", "name", "namespace"):
        if earlier.get(what) != later.get(what):
            yield f"the record's {what} has changed from {earlier.get(what)} to {later.get(what)}; change it back"
    before, after = earlier["fields"], later["fields"]
    if _said(_prefix(before)) != _said(_prefix(after)):
        yield f"the fields up to {LAST_OF_PREFIX}, which every event has, have changed; change them back"
    yield from _between_fields(_own(before), _own(after))


def _between_fields(before: dict[str, Field], after: dict[str, Field]) -> Iterator[str]:
    for name in before | after:
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            change, field = ("added", new) if old is None else ("removed", old)
            if field is not None and "default" not in field:
                yield f"the field {name} was {change}, but has no default; only fields with a default come and go"
            continue
        for what in ("type", "default", "personal"):
            if _said(old.get(what, _NONE)) != _said(new.get(what, _NONE)):
                yield f"the field {name} has another {what}; keep the field and add one with a new name"
    for name, field in after.items():
        if "aliases" in field:
            yield f"the field {name} has aliases; a field is never renamed: keep it and add one with a new name"


_NONE: Final = "(none)"


def _prefix(fields: list[Field]) -> list[Field]:
    names = [field["name"] for field in fields]
    return fields[: names.index(LAST_OF_PREFIX) + 1] if LAST_OF_PREFIX in names else []


def _own(fields: list[Field]) -> dict[str, Field]:
    return {field["name"]: field for field in fields[len(_prefix(fields)) :]}


def _said(schema: Any) -> str:
    """The schema as JSON, where true is not 1; without what only explains."""
    return json.dumps(_without_docs(schema), sort_keys=True)


def _without_docs(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {key: _without_docs(value) for key, value in schema.items() if key != "doc"}
    if isinstance(schema, list):
        return [_without_docs(each) for each in schema]
    return schema
