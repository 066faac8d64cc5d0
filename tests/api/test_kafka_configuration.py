"""The settings of a ledger on Kafka: what is wrong is told with what to set, and secrets are never shown."""

from pathlib import Path

import pytest

from api.configuration import Configuration, ConfigurationError, from_environment

ROOT = {"MUNIMENT_ROOT_KEY": "0" * 64, "MUNIMENT_POSTGRES": "postgresql://there"}
KAFKA = {**ROOT, "MUNIMENT_KAFKA": "one:9092,two:9092"}
SECURED = {
    **KAFKA,
    "MUNIMENT_KAFKA_SECURITY": "SASL_SSL",
    "MUNIMENT_KAFKA_MECHANISM": "SCRAM-SHA-512",
    "MUNIMENT_KAFKA_USERNAME": "muniment",
}


def read(environment: dict[str, str]) -> Configuration:
    return from_environment(environment, data=Path("data"))


def test_without_kafka_the_ledger_is_in_the_folder() -> None:
    assert read({}).kafka is None


def test_defaults_are_safe_ones() -> None:
    kafka = read(KAFKA).kafka
    assert kafka is not None
    assert (kafka.replication, kafka.min_in_sync, kafka.partitions) == (3, 2, 8)
    assert kafka.connection["client"] == "kafka-python"
    assert kafka.fencing


def test_one_replica_needs_one_in_sync() -> None:
    kafka = read({**KAFKA, "MUNIMENT_KAFKA_REPLICATION": "1"}).kafka
    assert kafka is not None
    assert kafka.min_in_sync == 1


def test_a_password_comes_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("fishfillet\n")
    kafka = read({**SECURED, "MUNIMENT_KAFKA_PASSWORD_FILE": str(file)}).kafka
    assert kafka is not None
    assert kafka.connection["password"] == "fishfillet"
    assert "fishfillet" not in repr(kafka)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({**KAFKA, "MUNIMENT_ROOT_KEY": ""}, "share one root key"),
        ({**KAFKA, "MUNIMENT_POSTGRES": ""}, "MUNIMENT_POSTGRES"),
        ({**KAFKA, "MUNIMENT_KAFKA_CLIENT": "other"}, "MUNIMENT_KAFKA_CLIENT must be one of"),
        ({**KAFKA, "MUNIMENT_KAFKA_PARTITIONS": "0"}, "MUNIMENT_KAFKA_PARTITIONS must be a whole number from 1"),
        ({**KAFKA, "MUNIMENT_KAFKA_PARTITIONS": "many"}, "MUNIMENT_KAFKA_PARTITIONS"),
        ({**KAFKA, "MUNIMENT_KAFKA_MIN_IN_SYNC": "4"}, "MUNIMENT_KAFKA_MIN_IN_SYNC must be a whole number from 1 to 3"),
        ({**KAFKA, "MUNIMENT_KAFKA_PREFIX": "a/b"}, "MUNIMENT_KAFKA_PREFIX"),
        ({**KAFKA, "MUNIMENT_KAFKA_MECHANISM": "PLAIN"}, "needs MUNIMENT_KAFKA_SECURITY"),
        ({**KAFKA, "MUNIMENT_KAFKA_SECURITY": "SASL_SSL"}, "MUNIMENT_KAFKA_MECHANISM must be one of"),
        (SECURED, "MUNIMENT_KAFKA_PASSWORD_FILE"),
        ({**SECURED, "MUNIMENT_KAFKA_PASSWORD_FILE": "/nowhere"}, "can't be read"),
        (
            {**SECURED, "MUNIMENT_KAFKA_PASSWORD": "x", "MUNIMENT_KAFKA_MECHANISM": "OAUTHBEARER"},
            "MUNIMENT_KAFKA_TOKEN_URL",
        ),
        ({**KAFKA, "MUNIMENT_KAFKA_CA": "/nowhere"}, "MUNIMENT_KAFKA_CA must name a file"),
        ({**KAFKA, "MUNIMENT_NODE_URL": "node-1:8420"}, "MUNIMENT_NODE_URL must begin with http"),
        ({**KAFKA, "MUNIMENT_SCHEMA_REGISTRY": "ftp://x"}, "MUNIMENT_SCHEMA_REGISTRY must begin with http"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_set(settings: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigurationError) as problem:
        read(settings)
    assert says in str(problem.value)
