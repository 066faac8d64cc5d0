"""Which revisions may stand beside each other, and how a wrong one is named."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer

from adapters.avro.shape import HEAD, SHARED, STAMP
from schemas.compatibility import LAST_OF_PREFIX, Incompatible, check, conflicts
from schemas.registry import Schema, current
from tests.golden import golden_events

Change = Callable[[dict[str, Any]], Any]

BASE = current()["UserProvisioned"]
NICKNAME = {"name": "nickname", "type": ["null", "muniment.Sealed"], "default": None, "personal": True}


def revised(*changes: Change) -> list[Schema]:
    """The event's first revision, and one more for each change, each made from the one before."""
    schemas = [BASE]
    for number, change in enumerate(changes, 1):
        avro = schemas[-1].avro
        change(avro)
        schemas.append(Schema(BASE.id + 1000 + number, BASE.event, 1 + number, "", json.dumps(avro)))
    return schemas


def field(avro: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [each for each in avro["fields"] if each["name"] == name]
    return found  # type: ignore[no-any-return]


def add(new: dict[str, Any]) -> Change:
    return lambda avro: avro["fields"].append(dict(new))


def remove(name: str) -> Change:
    return lambda avro: avro["fields"].remove(field(avro, name))


def alter(name: str, /, **changes: Any) -> Change:
    return lambda avro: field(avro, name).update(changes)


def nothing(avro: dict[str, Any]) -> None:
    """The same again."""


def test_everything_released_is_compatible() -> None:
    check()


def test_the_prefix_is_what_every_event_has() -> None:
    prefix = [each["name"] for each in (*STAMP, *HEAD, *SHARED)]
    assert prefix[-1] == LAST_OF_PREFIX
    for schema in current().values():
        assert [each["name"] for each in schema.avro["fields"]][: len(prefix)] == prefix


@pytest.mark.parametrize(
    "changes",
    [
        (add(NICKNAME),),
        (remove("email"),),
        (add(NICKNAME), remove("email"), nothing, remove("nickname")),
        (lambda avro: avro.update(doc="in other words"), alter("position", doc="said better")),
        (lambda avro: avro["fields"].insert(-3, dict(NICKNAME)),),
        (
            remove("email"),
            add({"name": "email", "type": ["null", "muniment.Sealed"], "default": None, "personal": True}),
        ),
    ],
    ids=["added", "removed", "several", "other words", "in between", "removed and brought back"],
)
def test_fields_with_a_default_come_and_go(changes: tuple[Change, ...]) -> None:
    check(revised(*changes))


WRONG: dict[str, tuple[tuple[Change, ...], str]] = {
    "added without default": (
        (add({"name": "age", "type": "long"}),),
        "revisions 1 and 2: the field age was added, but has no default",
    ),
    "removed without default": (
        (remove("user"),),
        "revisions 1 and 2: the field user was removed, but has no default",
    ),
    "another type": (
        (alter("active", type="long"),),
        "revisions 1 and 2: the field active has another type",
    ),
    "a wider type": (
        (alter("user", type=["null", "string"]),),
        "revisions 1 and 2: the field user has another type",
    ),
    "another default": (
        (alter("active", default=False),),
        "revisions 1 and 2: the field active has another default",
    ),
    "a default taken away": (
        (lambda avro: field(avro, "active").pop("default"),),
        "revisions 1 and 2: the field active has another default",
    ),
    "no longer personal": (
        (lambda avro: field(avro, "email").pop("personal"),),
        "revisions 1 and 2: the field email has another personal",
    ),
    "renamed": (
        (alter("user", name="person", aliases=["user"]),),
        "revisions 1 and 2: the field person has aliases",
    ),
    "another logical type": (
        (alter("recorded_at", type="long"),),
        "revisions 1 and 2: the fields up to request_address, which every event has, have changed",
    ),
    "a prefix in another order": (
        (lambda avro: avro["fields"].insert(0, avro["fields"].pop(1)),),
        "revisions 1 and 2: the fields up to request_address",
    ),
    "a field within the prefix": (
        (lambda avro: avro["fields"].insert(3, {"name": "extra", "type": "long", "default": 0}),),
        "revisions 1 and 2: the fields up to request_address",
    ),
    "no prefix": (
        (remove("request_address"),),
        "revisions 1 and 2: the fields up to request_address",
    ),
    "another name": (
        (lambda avro: avro.update(name="UserMade"),),
        "revisions 1 and 2: the record's name has changed from UserProvisioned to UserMade",
    ),
    "another namespace": (
        (lambda avro: avro.update(namespace="muniment.people"),),
        "revisions 1 and 2: the record's namespace has changed from muniment.directory to muniment.people",
    ),
    "not only to the one before": (
        (remove("email"), add({"name": "email", "type": ["null", "string"], "default": None})),
        "revisions 1 and 3: the field email has another type",
    ),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(changes: tuple[Change, ...], message: str) -> None:
    with pytest.raises(Incompatible) as caught:
        check(revised(*changes))
    lines = str(caught.value).splitlines()
    assert any(line.startswith(f"UserProvisioned: {message}") for line in lines), lines


def test_everything_that_is_wrong_is_said_at_once() -> None:
    found = list(conflicts(revised(alter("active", type="long", default=1), remove("user"))))
    assert len(found) == len(set(found)) == 2 + 1 + 3


def test_revisions_are_numbered_and_newer_ones_have_newer_ids() -> None:
    skipped = [BASE, BASE._replace(id=BASE.id + 1, revision=3)]
    assert list(conflicts(skipped)) == ["UserProvisioned: the revisions are [1, 3]; number them 1, 2, 3 …"]
    older = [BASE, BASE._replace(id=BASE.id - 1, revision=2)]
    assert list(conflicts(older)) == ["UserProvisioned: revision 2 has an older id than revision 1"]


def test_avros_own_resolution_agrees_in_both_directions() -> None:
    """What we call compatible, another reader reads: with any of the schemas what any of them wrote."""
    schemas = [parse_schema(schema.avro) for schema in revised(add(NICKNAME), remove("email"), nothing)]
    stored = next(each.stored for each in golden_events() if each.id == BASE.id)
    event = schemaless_reader(io.BytesIO(stored[5:]), schemas[0], None)
    for writer in schemas:
        written = io.BytesIO()
        schemaless_writer(written, writer, event)
        for reader in schemas:
            written.seek(0)
            read = schemaless_reader(written, writer, reader)
            assert isinstance(read, dict)
            assert read["user"] == event["user"]  # type: ignore[call-overload, index]
            assert read.keys() == {each["name"] for each in reader["fields"]}  # type: ignore[index, call-overload]
