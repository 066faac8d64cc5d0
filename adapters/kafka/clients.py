"""Which of the two libraries speaks to Kafka."""

from urllib.parse import urlsplit

from adapters.kafka.client import Client
from adapters.kafka.settings import KafkaSettings


def connect(settings: KafkaSettings) -> Client:
    """A client of the library that the settings choose; nothing is sent yet.

    Raises ValueError, which says what to set, if the settings don't go together, and RuntimeError if the library is
    not installed.
    """
    check(settings)
    if settings.client == "librdkafka":
        from adapters.kafka.librdkafka import LibrdkafkaClient

        return LibrdkafkaClient(settings)
    from adapters.kafka.python import PythonClient

    return PythonClient(settings)


def check(settings: KafkaSettings) -> None:
    """Raises ValueError if something is missing or is set in vain."""
    if settings.security.startswith("SASL"):
        if settings.mechanism is None:
            raise ValueError(f"Kafka's security is {settings.security}: set a mechanism, too.")
        if not settings.username or not settings.password:
            raise ValueError(f"{settings.mechanism} needs a user name and a password for Kafka: set both.")
        if settings.mechanism == "OAUTHBEARER":
            _check_token_url(settings.token_url)
    elif settings.mechanism is not None:
        raise ValueError(
            f"Kafka's mechanism {settings.mechanism} is only used with the security SASL_SSL or SASL_PLAINTEXT: set "
            "one of them, or no mechanism."
        )
    if settings.security.endswith("SSL"):
        if (settings.certificate_file is None) != (settings.key_file is None):
            raise ValueError("A client certificate for Kafka needs its key, and the key its certificate: set both.")
    elif settings.certificate_file or settings.key_file or settings.ca_file:
        raise ValueError("Certificates are only used if Kafka's security is SSL or SASL_SSL: set that, or none.")


def _check_token_url(url: str | None) -> None:
    if not url:
        raise ValueError("OAUTHBEARER needs the URL of Kafka's token endpoint: set it.")
    parts = urlsplit(url)
    near = parts.hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme != "https" and not (parts.scheme == "http" and near):
        raise ValueError("The URL of Kafka's token endpoint must begin with https://, since a password is sent there.")
    if parts.username or parts.password:
        raise ValueError("The URL of Kafka's token endpoint must hold no password: set Kafka's user name and password.")
