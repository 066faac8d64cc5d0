"""The door to a node: over HTTP to one that runs, or the same application on its data folder where none does."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from api.cli.printing import Failed
from api.configuration import from_environment
from api.data_folder import DataFolder
from api.http import structured_log

Url = Annotated[str | None, typer.Option("--url", envvar="MUNIMENT_URL", help="Where the node answers.")]
Key = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar="MUNIMENT_OPERATOR_KEY",
        help="An operator's key. Others on the machine can see a command line: prefer the variable.",
        show_envvar=True,
    ),
]
Data = Annotated[Path | None, typer.Option("--data", envvar="MUNIMENT_DATA", help="The node's data folder (data).")]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for scripts.")]
Tenant = Annotated[str, typer.Option("--tenant", "-t", help="The tenant's id.")]

DEFAULT = Path("data")


class Door:
    """Asks a node, and says what it refuses in one sentence."""

    def __init__(self, client: httpx.AsyncClient, url: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.client = client
        self.url = url
        self.transport = transport
        """How it is reached, if not over the network."""

    async def get(self, path: str, **query: Any) -> dict[str, Any]:
        return await self.ask("GET", path, query=query)

    async def post(self, path: str, body: Any = None, **query: Any) -> dict[str, Any]:
        return await self.ask("POST", path, body, query=query)

    async def ask(
        self, method: str, path: str, body: Any = None, *, query: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The answer's JSON. Raises Failed."""
        wanted = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            response = await self.client.request(method, path, json=body, params=wanted)
        except httpx.HTTPError as problem:
            raise unreachable(self.url, problem) from problem
        return understood(response)

    async def pages(self, path: str, **query: Any) -> AsyncIterator[dict[str, Any]]:
        """Every item of a listing."""
        cursor = None
        while True:
            page = await self.get(path, cursor=cursor, **query)
            for item in page["items"]:
                yield item
            cursor = page["next"]
            if cursor is None:
                return


def understood(response: httpx.Response) -> dict[str, Any]:
    """The answer's JSON, or Failed with what the node said."""
    try:
        body: Any = response.json()
    except ValueError:
        body = None
    if response.is_success and isinstance(body, dict):
        return body
    if not isinstance(body, dict) or "title" not in body:
        raise Failed(f"what answered with {response.status_code} is no Muniment node: check --url or MUNIMENT_URL")
    detail = body.get("detail") or body["title"]
    errors = "; ".join(f"{each.get('location')}: {each.get('message')}" for each in body.get("errors") or ())
    raise Failed(f"{detail} ({errors})" if errors else str(detail))


def unreachable(url: str, problem: httpx.HTTPError) -> Failed:
    if isinstance(problem, httpx.TimeoutException):
        return Failed(f"the node at {url} takes too long to answer: see `muniment doctor`")
    return Failed(f"no node answers at {url}: start one with `muniment serve`, or check --url or MUNIMENT_URL")


@asynccontextmanager
async def running_node(url: str | None, key: str | None, data: Path | None) -> AsyncIterator[Door]:
    """The node that answers: at --url, or the one that runs on the data folder. Raises Failed."""
    folder = DataFolder(data or DEFAULT)
    if url is None:
        url = address_in(folder)
        if url is None:
            raise Failed(
                f"no node runs on {folder.path}: start one with `muniment serve --data {folder.path}`, "
                "or say where one answers with --url or MUNIMENT_URL"
            )
    async with client_of(url, key or _kept_key(folder)) as client:
        yield Door(client, url)


@asynccontextmanager
async def any_node(url: str | None, key: str | None, data: Path | None) -> AsyncIterator[Door]:
    """The node that answers; where none runs on the folder, the folder itself, opened for as long as this lasts."""
    folder = DataFolder(data or DEFAULT)
    if url is not None or await _answers(address_in(folder)):
        async with running_node(url, key, data) as door:
            yield door
        return
    if not folder.ledger.exists():
        raise Failed(f"{folder.path} is no node's data folder: name one with --data, or a node with --url")
    from api.app import application  # takes a second, which commands on a running node don't need
    from api.wiring import Node

    structured_log.configure(level="error")
    node = Node(from_environment(data=folder.path, accept_clock=True))
    await node.start()
    try:
        transport = httpx.ASGITransport(application(node))
        async with client_of(node.url, node.operator_key or "", transport) as client:
            yield Door(client, node.url, transport)
    finally:
        await node.stop()


def address_in(folder: DataFolder) -> str | None:
    """Where a node on the folder says it answers; it may have died since."""
    try:
        return folder.address.read_text().strip() or None
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise Failed(f"{folder.path} can't be read ({problem.strerror}): run this as the node's user") from problem


def _kept_key(folder: DataFolder) -> str:
    try:
        return folder.operator_key.read_text().strip()
    except FileNotFoundError:
        raise Failed(
            "there is no operator key: set MUNIMENT_OPERATOR_KEY, or name the node's data folder with --data"
        ) from None
    except OSError as problem:
        raise Failed(
            f"{folder.operator_key} can't be read ({problem.strerror}): run this as the node's user, "
            "or set MUNIMENT_OPERATOR_KEY"
        ) from problem


async def _answers(url: str | None) -> bool:
    if url is None:
        return False
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        try:
            return (await client.get(url + "/livez")).is_success
        except httpx.HTTPError:
            return False


def client_of(url: str, key: str, transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    """A client that acts with a key. Raises Failed."""
    if not key.isascii() or not key.isprintable():
        raise Failed("the operator key holds characters that no key has: copy it again")
    try:
        return httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(60, connect=5),
            transport=transport,
            trust_env=False,  # a proxy of the environment must not see the key
        )
    except httpx.InvalidURL as problem:
        raise Failed("--url or MUNIMENT_URL is no URL: write it like http://127.0.0.1:8420") from problem
