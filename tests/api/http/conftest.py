"""What the HTTP tests share: the log as it was written."""

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from api.http import structured_log

LogLines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def log_lines() -> Iterator[LogLines]:
    """Configures logging into memory; call it for the lines so far."""
    stream = io.BytesIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    structured_log.configure(stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    structlog.reset_defaults()
    root.handlers[:], root.level = before
