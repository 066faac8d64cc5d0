"""How kafka-python is told where the brokers are and who we are, and how what it makes is made and ended."""

import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any

from kafka.errors import BrokerResponseError, KafkaError
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import KafkaNetSocket
from kafka.net.sasl.oauth import AbstractTokenProvider

from adapters.kafka.client import Unavailable
from adapters.kafka.settings import KafkaSettings
from adapters.kafka.tokens import TokenSource

REQUEST = 10.0
"""Seconds that a broker may take for one answer before the connection is given up."""


class _Tokens(AbstractTokenProvider):  # type: ignore[misc]
    def __init__(self, source: TokenSource) -> None:
        super().__init__()
        self._source = source

    def token(self) -> str:
        return self._source.token().value


class _ClosingSocket(KafkaNetSocket):  # type: ignore[misc]
    """Connects as usual; but a socket that could not connect is closed, where the library leaves it lying about."""

    SCHEMES = ("closing",)

    async def sock_connect(self, net: Any, sock: socket.socket, sockaddr: Any, timeout_at: float | None = None) -> Any:
        try:
            return await super().sock_connect(net, sock, sockaddr, timeout_at=timeout_at)
        except BaseException:
            sock.close()
            raise


def connection(settings: KafkaSettings) -> dict[str, Any]:
    """What every object of the library is configured with. Raises ValueError if a file can't be used."""
    config: dict[str, Any] = {
        "bootstrap_servers": [server.strip() for server in settings.servers.split(",")],
        "security_protocol": settings.security,
        "proxy_url": f"{_ClosingSocket.SCHEMES[0]}://",  # which is how the library lets one choose
        "reconnect_backoff_ms": 20,
        "reconnect_backoff_max_ms": 1000,
    }
    if settings.security.endswith("SSL"):
        config["ssl_context"] = _trust(settings)
    if settings.mechanism is not None:
        config["sasl_mechanism"] = settings.mechanism
        if settings.mechanism == "OAUTHBEARER":
            config["sasl_oauth_token_provider"] = _Tokens(TokenSource(settings))
        else:
            config["sasl_plain_username"] = settings.username
            config["sasl_plain_password"] = settings.password
    return config


class _ClosingSSLSocket(ssl.SSLSocket):
    """The same for one whose handshake fails."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except BaseException:
            self.close()
            raise


def _trust(settings: KafkaSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        context.sslsocket_class = _ClosingSSLSocket
        if settings.certificate_file:
            context.load_cert_chain(settings.certificate_file, settings.key_file)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"The certificates for Kafka can't be used ({error}): check the files that are set.") from None
    return context


def build(kind: Callable[..., Any], config: dict[str, Any], timeout: float, doing: str) -> tuple[Any, Any]:
    """A producer, consumer or admin client that has reached a broker within so many seconds, and its network.

    Raises Unavailable; what was opened in vain is closed.
    """
    networks: list[Any] = []
    if (tokens := config.get("sasl_oauth_token_provider")) is not None:
        tokens.token()  # the library would try until the time is over, and not say why

    def network(**settings: Any) -> Any:
        networks.append(KafkaNetClient(**settings))
        return networks[0]

    limit = {"bootstrap_timeout_ms": max(1, int(timeout * 1000)), "kafka_client": network}
    try:
        return kind(**config, **limit), networks[0]
    except Exception as error:
        for each in networks:
            with contextlib.suppress(Exception):
                each.close()
        if isinstance(error, KafkaError | OSError):
            raise Unavailable(f"{unavailable(doing, error)}{_advice(config)}") from None
        raise


def _advice(config: dict[str, Any]) -> str:
    """The library loses why a broker turned it away, if the broker hangs up with the answer."""
    if config["security_protocol"] == "PLAINTEXT":
        return ""
    what = "the certificates" if "sasl_mechanism" not in config else "the user name, the password and the certificates"
    return f" If the brokers run, check {what} that are set for it."


def unavailable(doing: str, error: Exception) -> Unavailable:
    """An error of the library in our words."""
    return Unavailable(f"Kafka is not available for {doing} ({reason(error)}).")


def reason(error: BaseException) -> str:
    """What the library says, short, and without the requests that some of its errors quote."""
    name, words = type(error).__name__, str(error)
    if isinstance(error, BrokerResponseError) or not words:
        return name
    return words[:200] if words.startswith(name) else f"{name}: {words[:200]}"


def keep_quiet() -> None:
    """Hold the library's log to warnings: below that it writes passwords, tokens, keys and values."""
    for name in ("kafka", "kafka.admin.client", "kafka.net.connection", "kafka.net.sasl", "kafka.producer.kafka"):
        logger = logging.getLogger(name)
        if logger.level < logging.WARNING:
            logger.setLevel(logging.WARNING)
