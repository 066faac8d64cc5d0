"""The outside verifier, built once for a run of tests."""

from pathlib import Path

import pytest

from tests.outside.golang import build


@pytest.fixture(scope="session")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("verifier"))
