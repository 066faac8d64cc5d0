"""One node for all tests of the faces; each makes tenants of its own."""

from collections.abc import Iterator

import pytest

from tests.node import NodeProcess, running_node


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with running_node(tmp_path_factory.mktemp("node") / "data") as running:
        yield running
