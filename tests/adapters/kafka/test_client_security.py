"""Both clients come in by TLS and SASL as the settings say, tell why they can't, and never tell a secret."""

import logging
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka.admin._acl import AclOperation
from confluent_kafka.admin._resource import ResourceType

from adapters.kafka.client import Callbacks, Place, Unavailable
from adapters.kafka.clients import connect
from adapters.kafka.settings import KafkaSettings
from adapters.kafka.tokens import TokenSource
from tests.adapters.kafka.clients import Library, read_to, said, values
from tests.kafka.acls import allow
from tests.kafka.broker import Cluster
from tests.kafka.fixtures import fresh_prefix
from tests.kafka.security import Security
from tests.node import PATIENCE, until

USER = "muniment"
LIBRARIES: tuple[Library, ...] = ("kafka-python", "librdkafka")
each = pytest.mark.parametrize("library", LIBRARIES)


def scram(security: Security) -> KafkaSettings:
    return KafkaSettings(
        security.sasl_servers,
        security="SASL_SSL",
        mechanism="SCRAM-SHA-512",
        username=USER,
        password=security.passwords[USER],
        ca_file=str(security.ca_file),
    )


def bearer(security: Security) -> KafkaSettings:
    settings = scram(security)
    return msgspec.structs.replace(settings, mechanism="OAUTHBEARER", token_url=security.token_url, token_scope="kafka")


def certified(security: Security) -> KafkaSettings:
    certificate, key = security.certificate(USER)
    return KafkaSettings(
        security.ssl_servers,
        security="SSL",
        ca_file=str(security.ca_file),
        certificate_file=str(certificate),
        key_file=str(key),
    )


@pytest.fixture
def prefix(secured_kafka: Cluster) -> str:
    """A start of names with which the user may do what a node does."""
    prefix = fresh_prefix()
    servers = secured_kafka.servers
    topic = (AclOperation.CREATE, AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS)
    allow(servers, USER, ResourceType.TOPIC, prefix, *topic, AclOperation.READ, AclOperation.WRITE, prefixed=True)
    allow(servers, USER, ResourceType.TRANSACTIONAL_ID, prefix, AclOperation.WRITE, prefixed=True)
    allow(servers, USER, ResourceType.GROUP, prefix, AclOperation.READ, prefixed=True)
    return prefix


@each
@pytest.mark.parametrize("way", [scram, bearer, certified])
def test_a_node_comes_in_and_does_all_it_has_to(
    secured_kafka: Cluster,
    prefix: str,
    library: Library,
    way: Callable[[Security], KafkaSettings],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = msgspec.structs.replace(way(secured_kafka.security), client=library)
    client, place = connect(settings), Place(prefix, 0)
    admin, reader = client.admin(), client.reader()
    assert admin.topic(prefix) is None
    admin.create_topic(prefix, 1, 1, {})
    writer = client.writer(prefix, 60.0)
    writer.open(PATIENCE)
    writer.commit([said(place, b"let in")], PATIENCE)
    reader.assign({place: 0})
    assert values(read_to(reader, admin.ends([place], committed=False))) == [b"let in"]
    told: list[frozenset[int]] = []
    callbacks = Callbacks(lambda partitions, _: told.append(partitions), print, print)
    membership = client.membership(prefix, prefix, "node", 6.0, callbacks)

    def joined() -> bool:
        membership.poll(0.2)
        return bool(told)

    until(joined, "an assignment")
    assert admin.members(prefix) == {"node": frozenset({0})}
    for one in (membership, reader, writer, admin):
        one.close()
    _says_no_secret(caplog, secured_kafka.security)


def _says_no_secret(caplog: pytest.LogCaptureFixture, security: Security, *more: str) -> None:
    said = "\n".join(f"{record.getMessage()} {record.exc_text}" for record in caplog.records)
    for secret in (*security.passwords.values(), "eyJ", *more):
        assert secret not in said


@each
@pytest.mark.parametrize("way", [scram, bearer])
def test_a_wrong_password_is_told_in_time_and_not_repeated(
    secured_kafka: Cluster,
    library: Library,
    way: Callable[[Security], KafkaSettings],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    guess = "a-guess-of-a-pass-word"
    client = connect(msgspec.structs.replace(way(secured_kafka.security), client=library, password=guess))
    writer = client.writer(fresh_prefix(), 60.0)
    started = time.monotonic()
    with pytest.raises(Unavailable) as refused:
        writer.open(3.0)
    assert time.monotonic() - started < 3.0 + 15.0
    assert guess not in str(refused.value)
    if way is bearer:
        assert "The token endpoint at 127.0.0.1 refused with 401" in str(refused.value)
    else:
        assert re.search("check the user name, the password|invalid credentials", str(refused.value))
    _says_no_secret(caplog, secured_kafka.security, guess)
    writer.close()


@each
def test_brokers_that_an_authority_doesnt_vouch_for_are_not_spoken_to(
    secured_kafka: Cluster, tmp_path: Path, library: Library
) -> None:
    stranger = Security(tmp_path / "other", [], {"x": "y"})
    stranger.close()
    settings = msgspec.structs.replace(scram(secured_kafka.security), client=library, ca_file=str(stranger.ca_file))
    with pytest.raises(Unavailable):
        connect(settings).writer(fresh_prefix(), 60.0).open(2.0)


@each
def test_what_no_acl_allows_is_unavailable(secured_kafka: Cluster, library: Library) -> None:
    client = connect(msgspec.structs.replace(scram(secured_kafka.security), client=library))
    writer = client.writer(fresh_prefix(), 60.0)
    with pytest.raises(Unavailable, match=r"(?i)transactional.?id.?authorization"):
        writer.open(PATIENCE)
    admin = client.admin()
    with pytest.raises(Unavailable, match=r"(?i)authorization"):
        admin.create_topic(fresh_prefix(), 1, 1, {})
    admin.close()


def test_a_token_is_kept_until_most_of_its_life_is_over(secured_kafka: Cluster) -> None:
    endpoint = secured_kafka.security.tokens
    source = TokenSource(bearer(secured_kafka.security))
    before = endpoint.issued
    first = source.token()
    assert source.token() == first
    assert endpoint.issued == before + 1
    assert 250 < first.expires - time.time() <= 300


@each
@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        ({"security": "SASL_SSL"}, "set a mechanism"),
        ({"security": "SASL_SSL", "mechanism": "PLAIN", "username": "u"}, "set both"),
        ({"security": "SASL_SSL", "mechanism": "OAUTHBEARER", "username": "u", "password": "p"}, "token endpoint"),
        ({"mechanism": "PLAIN"}, "only used with the security SASL_SSL"),
        ({"ca_file": "/nowhere"}, "security is SSL"),
        ({"security": "SSL", "certificate_file": "/nowhere"}, "its key"),
        ({"security": "SSL", "ca_file": "/nowhere"}, "check the files"),
    ],
)
def test_settings_that_dont_go_together_say_what_to_set(library: Library, wrong: dict[str, Any], advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        connect(KafkaSettings("127.0.0.1:1", client=library, **wrong))


@pytest.mark.parametrize("url", ["http://idp.example/token", "ftp://idp.example", "https://user:secret@idp.example/"])
def test_a_password_is_only_sent_where_nobody_listens(url: str) -> None:
    settings = KafkaSettings(
        "127.0.0.1:1", security="SASL_SSL", mechanism="OAUTHBEARER", username="u", password="p", token_url=url
    )
    with pytest.raises(ValueError, match="token endpoint must") as refused:
        connect(settings)
    assert "secret" not in str(refused.value)
