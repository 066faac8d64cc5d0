"""What `docker compose` is told: settings that a node and a broker understand, pinned images, and no secret."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from adapters.kafka.clients import check, connect
from adapters.kafka.settings import KafkaSettings
from adapters.kafka.topics import TopicSettings, prepare_topics
from api.configuration import Configuration, from_environment
from tests.kafka.archive import shared_classes
from tests.kafka.ports import free_port
from tests.kafka.properties import Addresses
from tests.kafka.server import Broker

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
NODES = [name for name, service in SERVICES.items() if service["image"].startswith("muniment:")]
ON_KAFKA = [name for name in NODES if "MUNIMENT_KAFKA" in SERVICES[name]["environment"]]
DEFAULT = re.compile(r"\$\{[A-Z_]+:-([^}]*)\}")
"""How a variable with a default is written."""


class Overriding(yaml.SafeLoader):  # type: ignore[misc]
    """Knows the tags of compose files that override others."""


Overriding.add_constructor("!override", lambda loader, node: loader.construct_mapping(node, deep=True))


class Asked(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        super().__init__(variables)
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)


def environment_of(name: str) -> dict[str, str]:
    """With nothing set outside."""
    return {key: DEFAULT.sub(r"\1", str(value)) for key, value in SERVICES[name]["environment"].items()}


def configured(name: str, tmp_path: Path, **more: str) -> tuple[Configuration, Asked]:
    """As a node is that has `more` besides; the files are there."""
    asked = Asked(environment_of(name) | more)
    for key, value in asked.items():
        if value.startswith("/run/secrets/"):
            asked[key] = str(tmp_path / Path(value).name)
            Path(asked[key]).write_text("0f" * 32)
    return from_environment(asked), asked


def started(*names: str) -> set[str]:
    """What `docker compose up` with these names starts; without any, all that is in no profile."""
    found = set(names or (name for name, service in SERVICES.items() if "profiles" not in service))
    while more := {each for name in found for each in SERVICES[name].get("depends_on", {})} - found:
        found |= more
    return found


def test_up_starts_two_nodes_on_kafka() -> None:
    assert started() == {"node-1", "node-2", "kafka", "postgres"}
    assert {"node-1", "node-2"} == set(ON_KAFKA)


def test_the_broker_starts_alone() -> None:
    assert started("kafka") == {"kafka"}
    # A variable that has to be set would have to be set for the broker alone, too.
    assert ":?" not in TEXT


def test_a_node_without_kafka_is_there_for_the_asking() -> None:
    assert started("embedded") == {"embedded", "postgres"}


@pytest.mark.parametrize("name", NODES)
def test_a_node_reads_all_that_it_is_told(name: str, tmp_path: Path) -> None:
    configuration, asked = configured(name, tmp_path)
    assert {each for each in asked if each.startswith("MUNIMENT_")} <= asked.names
    assert configuration.root_key == bytes.fromhex("0f" * 32)
    assert configuration.postgres is not None
    assert (configuration.kafka is not None) == (name in ON_KAFKA)


def test_nodes_know_themselves_by_a_name_that_the_others_find(tmp_path: Path) -> None:
    for name in ON_KAFKA:
        kafka = configured(name, tmp_path)[0].kafka
        assert kafka is not None
        assert kafka.node_url == f"http://{name}:8420"


def test_nodes_share_all_but_their_folders_ports_and_names(tmp_path: Path) -> None:
    first, second = (configured(name, tmp_path)[0] for name in ON_KAFKA)
    assert (first.postgres, first.root_key) == (second.postgres, second.root_key)
    used = [(SERVICES[name]["volumes"], SERVICES[name]["ports"]) for name in ON_KAFKA]
    assert used[0][0] != used[1][0]
    assert used[0][1] != used[1][1]


def test_whose_ledger_is_another_has_a_database_of_its_own(tmp_path: Path) -> None:
    assert configured("embedded", tmp_path)[0].postgres != configured("node-1", tmp_path)[0].postgres


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned(name: str) -> None:
    assert re.fullmatch(r"[a-z/-]+:\d+(\.\d+)*", SERVICES[name]["image"])


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_to_this_machine_alone(name: str) -> None:
    assert all(each.startswith("127.0.0.1:") for each in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", NODES)
def test_a_node_may_write_its_folder_and_nothing_else(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert [each.partition(":")[2] for each in service["volumes"]] == ["/data"]


def test_secrets_are_files_that_are_not_here() -> None:
    # Compose refuses secrets from variables where the root file system is read-only.
    assert all(list(secret) == ["file"] for secret in COMPOSE["secrets"].values())
    for name, service in SERVICES.items():
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
        for key, value in environment_of(name).items():
            assert key.endswith("_FILE") or not re.search("PASSWORD|SECRET|ROOT_KEY", key)
            assert not re.search(r"://[^/@]*:[^/@]*@", value)


def test_who_is_waited_for_says_when_it_is_ready() -> None:
    for service in SERVICES.values():
        for name, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert SERVICES[name]["healthcheck"]["test"]


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_kept_is_declared(name: str) -> None:
    assert {each.partition(":")[0] for each in SERVICES[name]["volumes"]} <= set(COMPOSE["volumes"])


def test_the_documents_override_leads_to_brokers_elsewhere(tmp_path: Path) -> None:
    document = (ROOT / "docs" / "kafka.md").read_text()
    found = re.search(r"<!-- override -->\n```yaml\n(.*?)```", document, re.DOTALL)
    assert found
    override = yaml.load(found[1], Overriding)  # noqa: S506 # a safe loader's child
    assert list(override["services"]) == ON_KAFKA
    for name, service in override["services"].items():
        assert set(service["secrets"]) == set(override["secrets"])
        assert set(service["depends_on"]) == started(name) - {"kafka", name}
        more = {key: str(value) for key, value in service["environment"].items()}
        configuration, asked = configured(name, tmp_path, **more)
        assert set(more) <= asked.names
        kafka = configuration.kafka
        assert kafka is not None
        assert (kafka.replication, kafka.min_in_sync) == (3, 2)
        check(KafkaSettings(**kafka.connection))


def test_the_image_has_both_kafka_clients() -> None:
    assert "'.[librdkafka]'" in (ROOT / "Dockerfile").read_text()


def test_a_broker_takes_its_settings_and_keeps_a_ledger_of_the_nodes(tmp_path: Path) -> None:
    inside, host, controller = free_port(), free_port(), free_port()
    broker = Broker(
        tmp_path / "kafka", Addresses(1, host, controller), _on_ports(inside, host, controller), shared_classes()
    )
    broker.format(environment_of("kafka")["CLUSTER_ID"])
    try:
        broker.start()
        kafka = configured("node-1", tmp_path)[0].kafka
        assert kafka is not None
        assert kafka.connection["servers"] == "kafka:19092"
        # By the way from this machine, as tests would; the node's own leads to the same broker.
        settings = TopicSettings(kafka.prefix, kafka.partitions, kafka.replication, kafka.min_in_sync)
        for client in ("kafka-python", "librdkafka"):
            found = connect(KafkaSettings(servers=broker.address, client=client)).admin()
            try:
                assert prepare_topics(found, settings).partitions == kafka.partitions
            finally:
                found.close()
    finally:
        broker.kill()


def _on_ports(inside: int, host: int, controller: int) -> str:
    """As the image makes server.properties: without KAFKA_, small, `_` for `.`; on ports that are free here."""
    ports = {"19092": inside, "9092": host, "9093": controller}
    lines = []
    for key, value in environment_of("kafka").items():
        if key.startswith("KAFKA_") and key != "KAFKA_LOG_DIRS":
            there = re.sub(r"(?<=:)(19092|9092|9093)\b", lambda port: str(ports[port[0]]), value)
            there = re.sub(r"//(kafka)?:", "//127.0.0.1:", there)
            lines.append(f"{key[6:].lower().replace('_', '.')}={there}\n")
    return "".join(lines)
