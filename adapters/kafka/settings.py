"""How Kafka is reached."""

from typing import Literal

import msgspec


class KafkaSettings(msgspec.Struct, frozen=True):
    """Brokers and credentials. What is secret here is never shown: `repr` leaves it out."""

    servers: str
    """host:port, several with commas."""
    client: Literal["kafka-python", "librdkafka"] = "kafka-python"
    security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = None
    username: str | None = None
    password: str | None = None
    token_url: str | None = None
    """OAUTHBEARER: where the client credentials grant gets tokens; username and password are the client's."""
    token_scope: str | None = None
    ca_file: str | None = None
    """PEM; None trusts the system's."""
    certificate_file: str | None = None
    """PEM, with the chain; for TLS client authentication."""
    key_file: str | None = None

    def __repr__(self) -> str:
        return f"KafkaSettings({self.servers!r}, {self.client}, {self.security})"
