"""Each test has a tenant, and a directory in it, of its own."""

from collections.abc import Iterator

import pytest

from tests.api.protocols.provisioning import Provider
from tests.node import NodeProcess


@pytest.fixture
def provider(node: NodeProcess) -> Iterator[Provider]:
    made = Provider(node)
    yield made
    made.close()
