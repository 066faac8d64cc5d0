"""One node for all tests of the faces; each makes tenants of its own.

MUNIMENT_TEST_LEDGER=kafka runs them all on two nodes on Kafka, of which the second is asked.
"""

import os
from collections.abc import Iterator

import pytest

from tests.kafka.fixtures import fresh_prefix
from tests.kafka_nodes import deployment, settings_of
from tests.node import NodeProcess, running_node
from tests.postgres import database_of


@pytest.fixture(scope="session")
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    if os.environ.get("MUNIMENT_TEST_LEDGER") != "kafka":
        with running_node(tmp_path_factory.mktemp("node") / "data") as running:
            yield running
        return
    servers = request.getfixturevalue("kafka").servers
    for conninfo in database_of(request.getfixturevalue("postgres_server")):
        with deployment(tmp_path_factory.mktemp("nodes"), settings_of(servers, fresh_prefix(), conninfo)) as nodes:
            yield nodes[1]
