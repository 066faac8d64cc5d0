"""A secured cluster: every way in, with both clients, and nothing beyond what an ACL allows."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import AclOperation
from confluent_kafka.admin._resource import ResourceType
from kafka import KafkaProducer
from kafka.errors import TopicAuthorizationFailedError
from kafka.net.sasl.oauth import AbstractTokenProvider

from tests.kafka.acls import allow
from tests.kafka.broker import Cluster
from tests.kafka.fixtures import fresh_prefix
from tests.kafka.security import Security
from tests.kafka.stock import consume, topic_on
from tests.node import PATIENCE, until

USER = "muniment"


class FromEndpoint(AbstractTokenProvider):  # type: ignore[misc]
    def __init__(self, security: Security) -> None:
        self._security = security

    def token(self) -> str:
        secret = self._security.passwords[USER]
        form = {"grant_type": "client_credentials"}
        answer = httpx.post(self._security.token_url, data=form, auth=(USER, secret))
        return str(answer.raise_for_status().json()["access_token"])


def scram(security: Security, password: str | None = None) -> dict[str, Any]:
    return {
        "bootstrap.servers": security.sasl_servers,
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": str(security.ca_file),
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": USER,
        "sasl.password": password or security.passwords[USER],
    }


def bearer(security: Security) -> dict[str, Any]:
    return {
        "bootstrap.servers": security.sasl_servers,
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": str(security.ca_file),
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.client.id": USER,
        "sasl.oauthbearer.client.secret": security.passwords[USER],
        "sasl.oauthbearer.token.endpoint.url": security.token_url,
        "sasl.oauthbearer.scope": "kafka",
    }


def certified(security: Security) -> dict[str, Any]:
    certificate, key = security.certificate(USER)
    return {
        "bootstrap.servers": security.ssl_servers,
        "security.protocol": "SSL",
        "ssl.ca.location": str(security.ca_file),
        "ssl.certificate.location": str(certificate),
        "ssl.key.location": str(key),
    }


def scram_python(security: Security) -> dict[str, Any]:
    return {
        "bootstrap_servers": security.sasl_servers,
        "security_protocol": "SASL_SSL",
        "ssl_cafile": str(security.ca_file),
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": USER,
        "sasl_plain_password": security.passwords[USER],
    }


def bearer_python(security: Security) -> dict[str, Any]:
    return {
        "bootstrap_servers": security.sasl_servers,
        "security_protocol": "SASL_SSL",
        "ssl_cafile": str(security.ca_file),
        "sasl_mechanism": "OAUTHBEARER",
        "sasl_oauth_token_provider": FromEndpoint(security),
    }


def certified_python(security: Security) -> dict[str, Any]:
    certificate, key = security.certificate(USER)
    return {
        "bootstrap_servers": security.ssl_servers,
        "security_protocol": "SSL",
        "ssl_cafile": str(security.ca_file),
        "ssl_certfile": str(certificate),
        "ssl_keyfile": str(key),
    }


def hears(settings: dict[str, Any], *reasons: int) -> None:
    """Wait until this client hears why it can't come in: one of these codes."""
    heard: set[int] = set()
    settings = {**settings, "error_cb": lambda error: heard.add(error.code()), "log_level": 0}
    admin = AdminClient(settings)

    def has_heard() -> bool:
        admin.poll(0.1)
        return not heard.isdisjoint(reasons)

    until(has_heard, "the reason")


@pytest.fixture
def topic(secured_kafka: Cluster) -> str:
    """One to which the user may write, and nobody else."""
    name = topic_on(secured_kafka.servers)
    allow(secured_kafka.servers, USER, ResourceType.TOPIC, name, AclOperation.WRITE)
    return name


@pytest.mark.parametrize("way", [scram, bearer, certified])
def test_confluent_kafka_comes_in(
    secured_kafka: Cluster, topic: str, way: Callable[[Security], dict[str, Any]]
) -> None:
    producer = Producer({**way(secured_kafka.security), "acks": "all", "log_level": 0})
    outcome: list[object] = []
    producer.produce(topic, b"let in", on_delivery=lambda error, _message: outcome.append(error))
    assert producer.flush(PATIENCE) == 0
    assert outcome == [None]
    assert consume(secured_kafka.servers, topic, 1) == [b"let in"]


@pytest.mark.parametrize("way", [scram_python, bearer_python, certified_python])
def test_kafka_python_comes_in(secured_kafka: Cluster, topic: str, way: Callable[[Security], dict[str, Any]]) -> None:
    producer = KafkaProducer(**way(secured_kafka.security), acks="all")
    producer.send(topic, b"let in").get(PATIENCE)
    producer.close(timeout=5)
    assert consume(secured_kafka.servers, topic, 1) == [b"let in"]


def test_a_wrong_password_stays_outside(secured_kafka: Cluster) -> None:
    hears(scram(secured_kafka.security, password="a guess"), KafkaError._AUTHENTICATION)


def test_a_client_that_does_not_know_the_authority_turns_away(secured_kafka: Cluster) -> None:
    settings = scram(secured_kafka.security)
    del settings["ssl.ca.location"]
    hears(settings, KafkaError._SSL)


def test_a_client_without_a_certificate_stays_outside(secured_kafka: Cluster) -> None:
    settings = certified(secured_kafka.security)
    del settings["ssl.certificate.location"], settings["ssl.key.location"]
    # TLS 1.3 (RFC 8446 §4.4.2.4): the server says so after the client is done, and a client may only see the end
    hears(settings, KafkaError._SSL, KafkaError._TRANSPORT)


def test_what_no_acl_allows_is_refused(secured_kafka: Cluster, topic: str) -> None:
    security = secured_kafka.security
    stranger = {"sasl_plain_username": "stranger", "sasl_plain_password": security.passwords["stranger"]}
    producer = KafkaProducer(**scram_python(security) | stranger)
    with pytest.raises(TopicAuthorizationFailedError):
        producer.send(topic, b"kept out").get(PATIENCE)
    producer.close(timeout=5)


def test_an_acl_for_a_prefix_holds_for_what_begins_with_it(secured_kafka: Cluster) -> None:
    prefix = fresh_prefix()
    allow(secured_kafka.servers, USER, ResourceType.TRANSACTIONAL_ID, prefix, AclOperation.WRITE, prefixed=True)
    allowed = Producer({**scram(secured_kafka.security), "transactional.id": f"{prefix}-0", "log_level": 0})
    allowed.init_transactions(PATIENCE)
    refused = Producer({**scram(secured_kafka.security), "transactional.id": "another", "log_level": 0})
    with pytest.raises(KafkaException) as error:
        refused.init_transactions(PATIENCE)
    assert error.value.args[0].code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED


def test_the_token_endpoint_knows_its_clients(secured_kafka: Cluster) -> None:
    url, form = secured_kafka.security.token_url, {"grant_type": "client_credentials"}
    assert httpx.post(url, data=form, auth=(USER, "a guess")).status_code == 401
    assert httpx.post(url, data={"grant_type": "password"}, auth=(USER, "a guess")).status_code == 400
    secret = secured_kafka.security.passwords[USER]
    answer = httpx.post(url, data={**form, "client_id": USER, "client_secret": secret}).json()
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == secured_kafka.security.tokens.seconds
