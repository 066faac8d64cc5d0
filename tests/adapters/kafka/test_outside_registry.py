"""Registering elsewhere: once, under records' names, with credentials that nobody is told; and ids there and back."""

import json
import socket
import struct
from collections.abc import Callable

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from adapters.kafka.headers import SCHEMA, schema_header
from adapters.kafka.outside_registry import (
    OutsideRegistry,
    OutsideRegistryError,
    Swap,
    outside_registry,
    register_all,
)
from schemas.registry import by_id, published
from tests.adapters.kafka.registry_server import RegistryServer, answer, error
from tests.golden import golden_events
from tests.serving import served

USER, PASSWORD = "registrar", "p@ss:wörd/1"


def registered(server: RegistryServer, **settings: float) -> Swap:
    with served(server.app) as url:
        return register_all(outside_registry(url), **settings)  # type: ignore[arg-type]


def test_every_schema_is_registered_under_its_records_name() -> None:
    server = RegistryServer()
    swap = registered(server)
    assert swap.ids.keys() == by_id().keys()
    for ours, theirs in swap.ids.items():
        schema = by_id()[ours]
        assert theirs != ours
        assert server.schemas[theirs] == schema.text
        assert server.subjects[schema.full_name][schema.revision - 1] == theirs
    assert server.levels == {each.full_name: "FULL_TRANSITIVE" for each in published()}


def test_revisions_are_registered_in_their_order() -> None:
    first = next(each for each in published() if each.event == "FlagDefined")
    second = first._replace(id=1000, revision=2, text=json.dumps({**first.avro, "doc": "later"}))
    server = RegistryServer()
    with served(server.app) as url:
        ids = register_all(outside_registry(url), [second, first]).ids
    assert server.subjects["muniment.flags.FlagDefined"] == [ids[first.id], ids[1000]]


def test_a_second_start_writes_nothing_and_finds_the_same_ids() -> None:
    server = RegistryServer()
    first = registered(server)
    assert len(list(server.writes())) == 2 * len(published())
    server.asked.clear()
    server.reading_only = True
    assert registered(server).ids == first.ids
    assert list(server.writes()) == []


def test_a_new_revision_is_registered_beside_what_is_there() -> None:
    *older, newest = published()
    server = RegistryServer()
    with served(server.app) as url:
        before = register_all(outside_registry(url), older).ids
        after = register_all(outside_registry(url)).ids
    assert after == {**before, newest.id: after[newest.id]}


@pytest.mark.parametrize("where", ["in the URL", "beside it"])
def test_credentials_are_sent_and_told_to_nobody(
    where: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    server = RegistryServer(user=USER, password=PASSWORD)
    with served(server.app) as url:
        if where == "in the URL":
            registry = outside_registry(url.replace("//", "//registrar:p%40ss%3Aw%C3%B6rd%2F1@"))
        else:
            registry = outside_registry(url, USER, PASSWORD)
        assert registry.url == url
        register_all(registry)
        with pytest.raises(OutsideRegistryError, match="refuses these credentials") as refused:
            register_all(outside_registry(url, USER, "wr0ng-secret"))
    seen = [caplog.text, *capfd.readouterr(), repr(registry), str(refused.value), repr(refused.value)]
    for secret in (PASSWORD, "p%40ss", "wr0ng-secret", USER):
        assert not any(secret in text for text in seen)


def test_a_registry_that_is_away_for_a_moment_is_asked_again() -> None:
    server = RegistryServer()
    server.failing += [error(503, 50003, "no leader"), error(429, 429, "slowly"), PlainTextResponse("?", 502)]
    assert registered(server).ids.keys() == by_id().keys()


REFUSALS: dict[str, tuple[Callable[[], Response], str]] = {
    "unauthorised": (lambda: error(401, 401, "Unauthorized"), "MUNIMENT_SCHEMA_REGISTRY_USER"),
    "forbidden": (lambda: error(403, 40301, "Forbidden"), "MUNIMENT_SCHEMA_REGISTRY_USER"),
    "elsewhere": (lambda: RedirectResponse("http://127.0.0.1:1/"), "final address"),
    "a web page": (lambda: PlainTextResponse("<html>"), "no schema registry"),
    "a list": (lambda: answer([]), "no schema registry"),
    "no id": (lambda: answer({"subject": "s"}), "no schema registry"),
    "a text as id": (lambda: answer({"id": "7"}), "no schema registry"),
    "true as id": (lambda: answer({"id": True}), "no schema registry"),
    "too large an id": (lambda: answer({"id": 1 << 31}), "no schema registry"),
    "too long an answer": (lambda: answer({"id": 7, "schema": "a" * (1 << 20)}), "no schema registry"),
    "another 404": (lambda: error(404, 404, "HTTP 404 Not Found"), "base address"),
    "not Avro": (lambda: error(422, 42201, "invalid schema secret-text"), "error 42201"),
}


@pytest.mark.parametrize(("refusal", "expected"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_says_what_to_do_and_repeats_nothing(refusal: Callable[[], Response], expected: str) -> None:
    server = RegistryServer()
    server.failing.append(refusal())
    with pytest.raises(OutsideRegistryError, match=expected) as refused:
        registered(server)
    assert "secret-text" not in str(refused.value)


def test_a_subject_of_somebody_else_is_named() -> None:
    server = RegistryServer()
    server.refusing = frozenset({"muniment.flags.FlagDefined"})
    with pytest.raises(OutsideRegistryError, match=r"holds under muniment\.flags\.FlagDefined"):
        registered(server)


def test_a_registry_that_only_reads_can_t_be_the_first() -> None:
    server = RegistryServer()
    server.reading_only = True
    with pytest.raises(OutsideRegistryError, match="read only"):
        registered(server)


def test_a_registry_that_takes_two_schemas_for_one_is_refused() -> None:
    server = RegistryServer()
    server.failing += [answer({"id": 7}) for _ in published()]
    with pytest.raises(OutsideRegistryError, match="the same id"):
        registered(server)


def test_a_registry_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(OutsideRegistryError, match=r"does not answer \(ConnectError\): start it"):
        register_all(outside_registry(f"http://127.0.0.1:{port}"), patience=0.2)


WRONG = (
    "",
    "registry:8081",
    "ftp://registry",
    "http://",
    "http://registry:port",
    "http://registry:99999",
    "http://[registry",
    "http://registry/?a=b",
    "http://registry/#a",
)


@pytest.mark.parametrize("url", WRONG)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(OutsideRegistryError, match="must be like"):
        outside_registry(url)


def test_an_address_is_kept_without_what_it_doesn_t_need() -> None:
    assert outside_registry(" https://registry:8081/ ") == OutsideRegistry("https://registry:8081")
    assert outside_registry("https://[::1]:1/api/ccompat/v7").url == "https://[::1]:1/api/ccompat/v7"


@pytest.mark.parametrize(("user", "password"), [("u", None), (None, "p"), ("", "p")])
def test_half_of_the_credentials_are_refused(user: str | None, password: str | None) -> None:
    with pytest.raises(OutsideRegistryError, match="set both"):
        outside_registry("http://registry", user, password)


def test_credentials_are_named_once() -> None:
    with pytest.raises(OutsideRegistryError, match="credentials once"):
        outside_registry("http://u:p@registry", "u", "p")
    with pytest.raises(OutsideRegistryError, match="set both"):
        outside_registry("http://u@registry")


def test_a_certificate_file_that_isn_t_there_is_named() -> None:
    registry = outside_registry("https://registry", ca_file="/nowhere/ca.pem")
    with pytest.raises(OutsideRegistryError, match="MUNIMENT_SCHEMA_REGISTRY_CA_FILE"):
        register_all(registry)


def test_values_have_their_ids_and_come_back_as_they_were_stored() -> None:
    swap = registered(RegistryServer())
    for kept in golden_events():
        value = swap.swap_out(kept.stored)
        assert value == b"\0" + struct.pack(">I", swap.ids[kept.id]) + kept.stored[5:]
        name, ours = schema_header(kept.stored)
        assert (name, ours) == (SCHEMA, str(kept.id).encode())
        assert swap.swap_in(value, ours) == kept.stored
        assert Swap.swap_in(kept.stored, None) == kept.stored


@given(body=st.binary(max_size=100), number=st.integers(1, 2**31 - 1), ours=st.sampled_from(sorted(by_id())))
def test_there_and_back_whatever_the_ids_are(body: bytes, number: int, ours: int) -> None:
    stored = b"\0" + struct.pack(">I", ours) + body
    value = Swap({ours: number}).swap_out(stored)
    assert Swap.swap_in(value, schema_header(stored)[1]) == stored


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        (b"\0\0\0\0\1", b""),
        (b"\0\0\0\0\1", b"\0\0\0\1"),
        (b"\0\0\0\0\1", b"-1"),
        (b"\0\0\0\0\1", b"2147483648"),
        (b"\0\0\0\0\1", b"1" * 5000),
        (b"\0\0", b"1"),
    ],
)
def test_a_header_that_is_no_id_is_refused(value: bytes, schema: bytes) -> None:
    with pytest.raises(ValueError, match="muniment-schema"):
        Swap.swap_in(value, schema)


def test_a_schema_of_nobody_is_not_swapped() -> None:
    with pytest.raises(KeyError):
        Swap({1: 2}).swap_out(b"\0\0\0\0\2")


def test_a_stock_deserializer_reads_swapped_values_with_the_outside_registry() -> None:
    server = RegistryServer(user=USER, password=PASSWORD)
    with served(server.app) as url:
        swap = register_all(outside_registry(url, USER, PASSWORD))
        with SchemaRegistryClient({"url": url, "basic.auth.user.info": f"{USER}:{PASSWORD}"}) as client:
            read = AvroDeserializer(client)
            for kept in golden_events():
                value = read(swap.swap_out(kept.stored), SerializationContext("muniment.ledger", MessageField.VALUE))
                assert isinstance(value, dict)
                assert value["event_id"] == kept.meta["event_id"]
