"""The settings MUNIMENT_KAFKA*: how a node takes part in a ledger on Kafka."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec


class ConfigurationError(Exception):
    """A setting is missing or wrong; the message says which, and what to set."""


class KafkaConfiguration(msgspec.Struct, frozen=True):
    """What MUNIMENT_KAFKA and its neighbours say. `repr` shows no secret."""

    connection: dict[str, Any]
    """As the adapter names it: servers, client, security and credentials."""
    prefix: str = "muniment"
    partitions: int = 8
    replication: int = 3
    min_in_sync: int = 2
    session: float = 10.0
    """Seconds without a sign of life after which a node's partitions go to others."""
    node_url: str | None = None
    """Under which other nodes reach this one; None: where it listens."""
    node_ca: str | None = None
    """PEM: who signed the certificates of the nodes' addresses; None: an authority that the system trusts."""
    registry: dict[str, Any] | None = None
    """An outside registry: url, user, password, ca_file; None where there is none."""
    fencing: bool = True
    """Only a test that shows what fencing prevents turns it off."""

    def __repr__(self) -> str:
        return f"KafkaConfiguration({self.connection['servers']!r}, {self.prefix!r})"


CLIENTS: Final = ("kafka-python", "librdkafka")
SECURITY: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")


def kafka_of(environment: Mapping[str, str]) -> KafkaConfiguration | None:
    """None where MUNIMENT_KAFKA is not set: the ledger is the embedded one. Raises ConfigurationError."""
    servers = environment.get("MUNIMENT_KAFKA")
    if not servers:
        return None
    replication = _number(environment, "REPLICATION", 3, 1, 100)
    return KafkaConfiguration(
        connection=_connection(environment, servers),
        prefix=_prefix(environment),
        partitions=_number(environment, "PARTITIONS", 8, 1, 10_000),
        replication=replication,
        min_in_sync=_number(environment, "MIN_IN_SYNC", min(2, replication), 1, replication),
        session=float(_number(environment, "SESSION", 10, 1, 300)),
        node_url=url_of(environment, "MUNIMENT_NODE_URL"),
        node_ca=_file(environment, "MUNIMENT_NODE_CA"),
        registry=_registry(environment),
        fencing=environment.get("MUNIMENT_KAFKA_TEST_WITHOUT_FENCING") != "this-loses-data",
    )


def _connection(environment: Mapping[str, str], servers: str) -> dict[str, Any]:
    def get(name: str) -> str | None:
        return environment.get(f"MUNIMENT_KAFKA_{name}") or None

    security = _one_of(environment, "SECURITY", "PLAINTEXT", SECURITY)
    mechanism = _one_of(environment, "MECHANISM", None, MECHANISMS)
    username, password = get("USERNAME"), _password(environment)
    if security.startswith("SASL"):
        if mechanism is None:
            raise ConfigurationError(f"MUNIMENT_KAFKA_MECHANISM must be one of {', '.join(MECHANISMS)}")
        if username is None or password is None:
            raise ConfigurationError(
                "set MUNIMENT_KAFKA_USERNAME and MUNIMENT_KAFKA_PASSWORD_FILE (or _PASSWORD) for this security"
            )
        if mechanism == "OAUTHBEARER" and get("TOKEN_URL") is None:
            raise ConfigurationError("OAUTHBEARER needs MUNIMENT_KAFKA_TOKEN_URL: where tokens are given out")
    elif mechanism is not None:
        raise ConfigurationError("MUNIMENT_KAFKA_MECHANISM needs MUNIMENT_KAFKA_SECURITY to be SASL_SSL")
    return {
        "servers": servers,
        "client": _one_of(environment, "CLIENT", "kafka-python", CLIENTS),
        "security": security,
        "mechanism": mechanism,
        "username": username,
        "password": password,
        "token_url": get("TOKEN_URL"),
        "token_scope": get("TOKEN_SCOPE"),
        "ca_file": _file(environment, "MUNIMENT_KAFKA_CA"),
        "certificate_file": _file(environment, "MUNIMENT_KAFKA_CERTIFICATE"),
        "key_file": _file(environment, "MUNIMENT_KAFKA_KEY"),
    }


def _registry(environment: Mapping[str, str]) -> dict[str, Any] | None:
    url = url_of(environment, "MUNIMENT_SCHEMA_REGISTRY")
    if url is None:
        return None
    names = {"user": "USER", "password": "PASSWORD", "ca_file": "CA_FILE"}
    return {"url": url, **{key: environment.get(f"MUNIMENT_SCHEMA_REGISTRY_{name}") for key, name in names.items()}}


def _one_of(environment: Mapping[str, str], name: str, default: Any, allowed: tuple[str, ...]) -> Any:
    value = environment.get(f"MUNIMENT_KAFKA_{name}") or default
    if value is not None and value not in allowed:
        raise ConfigurationError(f"MUNIMENT_KAFKA_{name} must be one of {', '.join(allowed)}")
    return value


def _number(environment: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = environment.get(f"MUNIMENT_KAFKA_{name}")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 9 and least <= int(text) <= most):
        raise ConfigurationError(f"MUNIMENT_KAFKA_{name} must be a whole number from {least} to {most}")
    return int(text)


def _prefix(environment: Mapping[str, str]) -> str:
    prefix = environment.get("MUNIMENT_KAFKA_PREFIX") or "muniment"
    if len(prefix) > 100 or not all(each.isascii() and (each.isalnum() or each in "._-") for each in prefix):
        raise ConfigurationError("MUNIMENT_KAFKA_PREFIX may have letters, digits, dots, dashes and underscores")
    return prefix


def _password(environment: Mapping[str, str]) -> str | None:
    text, file = environment.get("MUNIMENT_KAFKA_PASSWORD"), environment.get("MUNIMENT_KAFKA_PASSWORD_FILE")
    if text and file:
        raise ConfigurationError("set MUNIMENT_KAFKA_PASSWORD or MUNIMENT_KAFKA_PASSWORD_FILE, not both")
    if file:
        try:
            return Path(file).read_text().strip()
        except (OSError, UnicodeDecodeError) as problem:
            raise ConfigurationError("MUNIMENT_KAFKA_PASSWORD_FILE can't be read") from problem
    return text or None


def _file(environment: Mapping[str, str], name: str) -> str | None:
    path = environment.get(name) or None
    if path is not None and not Path(path).is_file():
        raise ConfigurationError(f"{name} must name a file in PEM form")
    return path


def url_of(environment: Mapping[str, str], name: str) -> str | None:
    """The URL in a setting, without a slash at its end. Raises ConfigurationError."""
    url = environment.get(name) or None
    if url is not None and not url.startswith(("http://", "https://")):
        raise ConfigurationError(f"{name} must begin with http:// or https://")
    return url.rstrip("/") if url else None
