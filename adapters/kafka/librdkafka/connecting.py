"""How librdkafka is told where the brokers are and who we are, and what its errors say in our words."""

import logging
import ssl
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from adapters.kafka.client import Unavailable
from adapters.kafka.settings import KafkaSettings
from adapters.kafka.tokens import TokenSource

REQUEST = 10.0
"""Seconds that a broker may take for one answer before the connection is given up."""

logger = logging.getLogger("muniment.librdkafka")


def _calm(record: logging.LogRecord) -> bool:
    """What the library calls critical, being fenced for example, is told us by an exception besides."""
    if record.levelno > logging.WARNING:
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


logger.addFilter(_calm)


def connection(settings: KafkaSettings) -> dict[str, Any]:
    """What every object of the library is configured with. Raises ValueError if a file can't be used."""
    config: dict[str, Any] = {
        "bootstrap.servers": settings.servers,
        "security.protocol": settings.security,
        "socket.nagle.disable": True,
        "socket.connection.setup.timeout.ms": int(REQUEST * 1000),
        "reconnect.backoff.ms": 20,
        "reconnect.backoff.max.ms": 1000,
        "log_level": 4,  # warnings: what is below tells of keys
        "log.connection.close": False,
        "logger": logger,
    }
    if settings.security.endswith("SSL"):
        _check(settings)
        config["ssl.ca.location"] = settings.ca_file or "probe"
        config["ssl.endpoint.identification.algorithm"] = "https"
        if settings.certificate_file:
            config["ssl.certificate.location"] = settings.certificate_file
            config["ssl.key.location"] = settings.key_file
    if settings.mechanism is not None:
        config["sasl.mechanisms"] = settings.mechanism
        if settings.mechanism == "OAUTHBEARER":
            source = TokenSource(settings)
            config["oauth_cb"] = lambda _: tuple(source.token())
        else:
            config["sasl.username"] = settings.username
            config["sasl.password"] = settings.password
    return config


def _check(settings: KafkaSettings) -> None:
    """Python's own look at the files says more than the library's."""
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.certificate_file:
            context.load_cert_chain(settings.certificate_file, settings.key_file)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"The certificates for Kafka can't be used ({error}): check the files that are set.") from None


def error_of(exception: BaseException) -> KafkaError | None:
    """What the library's exception carries."""
    found = exception.args[0] if isinstance(exception, KafkaException) and exception.args else None
    return found if isinstance(found, KafkaError) else None


def unavailable(doing: str, exception: BaseException, outage: "Outage | None" = None) -> Unavailable:
    """An exception of the library in our words; what it heard before tells more than that the time was over."""
    heard = f"; {outage.words}" if outage is not None and outage.words else ""
    return Unavailable(f"Kafka is not available for {doing} ({reason(exception)}{heard}).")


def reason(exception: BaseException) -> str:
    """What the library says, short."""
    error = error_of(exception)
    if error is None:
        return f"{type(exception).__name__}: {str(exception)[:200]}"
    return f"{error.name()}: {error.str()[:200]}"


class Outage:
    """Remembers that the library has lost every broker: it says so once, tries again for ever, and goes on waiting."""

    def __init__(self) -> None:
        self.words = ""

    def hear(self, error: KafkaError) -> None:
        why = error.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL)
        if why or (error.code() == KafkaError._ALL_BROKERS_DOWN and not self.words):
            self.words = f"{error.name()}: {error.str()[:200]}"


def made(kind: Callable[[dict[str, Any]], Any], config: dict[str, Any], doing: str) -> Any:
    """An object of the library, which connects by and by. Raises Unavailable if it can't be made."""
    if (ask_for_token := config.get("oauth_cb")) is not None:
        ask_for_token("")  # the library would wait for ten seconds, and not say for what
    try:
        return kind(config)
    except KafkaException as error:
        raise unavailable(doing, error) from error
