"""Every event is a valid OCSF 1.5.0 event, by the framework's own schema."""

from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from adapters.exports.ocsf import SAID, VERSION, ocsf
from domain.event import Entry, Event, Instant, Meta, Sealed
from domain.ids import TenantId
from tests.domain.examples import EXAMPLES


@cache
def schemas() -> OcsfJsonSchemaEmbedded:
    return OcsfJsonSchemaEmbedded(get_ocsf_schema(version=VERSION))


@cache
def validator(kind: int) -> Draft202012Validator:
    name = schemas().lookup_class_name_from_uid(class_uid=kind)
    return Draft202012Validator(schemas().get_class_schema(class_name=name, profiles=[]))


def entry(event: Event, *, actor_kind: str = "user", credential: str | None = "key_1") -> Entry:
    meta = Meta(
        event_id="018f0000-0000-7000-8000-000000000000",
        actor_kind=actor_kind,
        actor_id="usr_1",
        on_behalf_of=("user:usr_2",),
        credential_id=credential,
        authority_permission="users:manage",
        authority_decision="dec_1",
        authority_policies=("rol_1",),
        authority_position=4,
        command_id="cmd_1",
        causation_id=None,
        correlation_id="cor_1",
        idempotency_key=None,
        idempotency_body=None,
        request=Sealed("dek_1", bytes(12), b"secret", bytes(16)),
        request_address="00ff",
        tags=("actor:usr_1",),
    )
    return Entry(TenantId("ten_1"), 5, Instant(1_700_000_000_123_456), event, meta, (1,), 3)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
@pytest.mark.parametrize("actor_kind", ["user", "operator", "system", "service"])
def test_every_event_is_valid_by_the_schema_of_its_class(name: str, actor_kind: str) -> None:
    said = ocsf(entry(EXAMPLES[name], actor_kind=actor_kind, credential="key_1" if actor_kind == "user" else None))
    problems = [f"{each.json_path}: {each.message}" for each in validator(said["class_uid"]).iter_errors(said)]
    assert not problems
    assert said["type_uid"] == said["class_uid"] * 100 + said["activity_id"]


def test_every_event_of_the_mapping_exists() -> None:
    assert set(SAID) <= set(EXAMPLES)


def test_the_classes_that_identity_has_are_used() -> None:
    kinds = {name: ocsf(entry(event))["class_uid"] for name, event in EXAMPLES.items()}
    expected: dict[str, Any] = {
        "UserProvisioned": 3001,
        "OperatorKeyIssued": 3002,
        "ApiKeyIssued": 3003,
        "FlagDefined": 3004,
        "RoleAssigned": 3005,
        "MemberAdded": 3006,
        "CommandRefused": 6003,
        "TrailAccessed": 6003,
    }
    assert {name: kinds[name] for name in expected} == expected


def test_nothing_that_is_sealed_is_in_it() -> None:
    for event in EXAMPLES.values():
        said = ocsf(entry(event))
        assert "dek_" not in str(said)
        hidden = [name for name in said["unmapped"]["data"] if "secret" in name or "hash" in name]
        assert all(said["unmapped"]["data"][name] is None for name in hidden), hidden
