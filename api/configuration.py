"""Configuration: environment variables MUNIMENT_*, checked at start; each error says what to set."""

import base64
import binascii
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from api.archive_configuration import ArchiveConfiguration, archive_of
from api.kafka_configuration import ConfigurationError, KafkaConfiguration, kafka_of, url_of

__all__ = ["Configuration", "ConfigurationError", "KafkaConfiguration", "decode_root_key", "from_environment"]


class Configuration(msgspec.Struct, frozen=True):
    """What a node is started with."""

    data: Path
    host: str = "127.0.0.1"
    port: int = 8420
    postgres: str | None = None
    """A conninfo; None starts the embedded one."""
    root_key: bytes | None = None
    """None: kept in the data folder."""
    accept_clock: bool = False
    """Go on although the clock is far ahead of what was last recorded."""
    log_level: str = "info"
    new_operator_key: bool = False
    """Make a new operator's key, although there is one."""
    public_url: str | None = None
    """Under which clients reach the node, or all nodes; None: where it listens."""
    webhooks: bool = True
    """Whether this node delivers to webhooks."""
    webhooks_private: bool = False
    """Whether deliveries may go to plain HTTP, and to addresses of the node's own networks."""
    checkpoint_seconds: float = 60.0
    """How often a checkpoint is made, if anything has changed; 0: on demand alone."""
    trees_megabytes: int = 256
    """What trees of hashes may take in memory."""
    origin: str = "muniment"
    """How the name of the deployment's log begins."""
    kafka: KafkaConfiguration | None = None
    """None: the ledger is a file in the data folder."""
    archive: ArchiveConfiguration = ArchiveConfiguration()


_LEVELS: Final = ("debug", "info", "warning", "error")


def from_environment(
    environment: Mapping[str, str] = os.environ,
    *,
    data: Path | None = None,
    host: str | None = None,
    port: int | None = None,
    accept_clock: bool = False,
    new_operator_key: bool = False,
) -> Configuration:
    """What was given on the command line, then the environment, then the defaults. Raises ConfigurationError."""
    kafka = kafka_of(environment)
    configuration = Configuration(
        data=data or Path(environment.get("MUNIMENT_DATA") or "data"),
        host=host or environment.get("MUNIMENT_HOST") or "127.0.0.1",
        port=port if port is not None else _port(environment.get("MUNIMENT_PORT")),
        postgres=environment.get("MUNIMENT_POSTGRES") or None,
        root_key=_root_key(environment),
        accept_clock=accept_clock or environment.get("MUNIMENT_ACCEPT_CLOCK") == "1",
        new_operator_key=new_operator_key,
        log_level=_level(environment.get("MUNIMENT_LOG_LEVEL")),
        public_url=url_of(environment, "MUNIMENT_PUBLIC_URL"),
        webhooks=_switch(environment, "MUNIMENT_WEBHOOKS", True),
        webhooks_private=_switch(environment, "MUNIMENT_WEBHOOKS_PRIVATE", False),
        checkpoint_seconds=_number(environment, "MUNIMENT_CHECKPOINT_SECONDS", 60, 0, 86_400),
        trees_megabytes=_number(environment, "MUNIMENT_TREES_MEGABYTES", 256, 8, 1 << 20),
        origin=_origin(environment.get("MUNIMENT_ORIGIN") or "muniment"),
        kafka=kafka,
        archive=archive_of(environment),
    )
    if kafka is not None and configuration.root_key is None:
        raise ConfigurationError(
            "the nodes of a ledger on Kafka share one root key: set MUNIMENT_ROOT_KEY_FILE or MUNIMENT_ROOT_KEY"
        )
    if kafka is not None and configuration.postgres is None:
        raise ConfigurationError(
            "the nodes of a ledger on Kafka share a PostgreSQL for their views: set MUNIMENT_POSTGRES to reach it"
        )
    return configuration


def _port(text: str | None) -> int:
    if not text:
        return 8420
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise ConfigurationError("MUNIMENT_PORT must be a number from 0 to 65535; 0 takes a free one")
    return int(text)


def _number(environment: Mapping[str, str], name: str, otherwise: int, least: int, most: int) -> int:
    text = environment.get(name) or str(otherwise)
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise ConfigurationError(f"{name} must be a number from {least} to {most}")
    return int(text)


def _origin(text: str) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9._/-]{0,99}", text):
        raise ConfigurationError(
            "MUNIMENT_ORIGIN must be a name of at most 100 letters, digits, dots, dashes and slashes, "
            "such as audit.example.com/log"
        )
    return text


def _switch(environment: Mapping[str, str], name: str, otherwise: bool) -> bool:
    text = environment.get(name) or str(int(otherwise))
    if text not in ("0", "1"):
        raise ConfigurationError(f"{name} must be 1 or 0")
    return text == "1"


def _level(text: str | None) -> str:
    level = (text or "info").lower()
    if level not in _LEVELS:
        raise ConfigurationError(f"MUNIMENT_LOG_LEVEL must be one of {', '.join(_LEVELS)}")
    return level


def _root_key(environment: Mapping[str, str]) -> bytes | None:
    text, file = environment.get("MUNIMENT_ROOT_KEY"), environment.get("MUNIMENT_ROOT_KEY_FILE")
    if text and file:
        raise ConfigurationError("set MUNIMENT_ROOT_KEY or MUNIMENT_ROOT_KEY_FILE, not both")
    if file:
        try:
            text = Path(file).read_text().strip()
        except (OSError, UnicodeDecodeError) as problem:
            raise ConfigurationError("MUNIMENT_ROOT_KEY_FILE can't be read: name a file with the key") from problem
    return decode_root_key(text) if text else None


def decode_root_key(text: str) -> bytes:
    """32 bytes, as 64 hexadecimal digits or in base64."""
    for decode in (bytes.fromhex, lambda each: base64.b64decode(each, validate=True)):
        try:
            key = decode(text)
        except (ValueError, binascii.Error):
            continue
        if len(key) == 32:
            return key
    raise ConfigurationError(
        "MUNIMENT_ROOT_KEY (or the file with it) must hold 32 bytes, as 64 hexadecimal digits: "
        "`openssl rand -hex 32` makes them"
    )
