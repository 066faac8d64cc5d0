"""A server that speaks as S3 does (moto), for what keeps things in buckets."""

from collections.abc import Iterator
from itertools import count

import httpx
import pytest
from moto.server import ThreadedMotoServer

_numbers = count(1)


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """Its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


def bucket_at(s3: str) -> str:
    """The name of a fresh bucket."""
    name = f"archive-{next(_numbers)}"
    httpx.put(f"{s3}/{name}").raise_for_status()
    return name
