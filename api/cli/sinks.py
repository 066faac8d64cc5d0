"""`muniment sink …`: how far a tenant's sinks are, and pause, resume, test and replay them."""

import asyncio
from typing import Annotated, Any

import typer

from api.cli.door import Data, Json, Key, Tenant, Url, running_node
from api.cli.printing import answer, answer_json, answer_rows
from api.cli.tenants import checked

app = typer.Typer(name="sink", help="Watch and steer sinks.", no_args_is_help=True)
Sink = Annotated[str, typer.Argument(help="The sink's id.")]


@app.command("list")
def list_all(tenant: Tenant, url: Url = None, key: Key = None, data: Data = None, json: Json = False) -> None:
    """List a tenant's sinks, and how far each is."""

    async def ask() -> list[dict[str, Any]]:
        base, found = f"/v1/tenants/{checked(tenant)}/sinks", []
        async with running_node(url, key, data) as node:
            async for each in node.pages(base, limit=500):
                progress = await node.get(f"{base}/{each['id']}/progress")
                found.append({**each, **progress, "state": progress["state"] or each["state"]})
        return found

    found = asyncio.run(ask())
    if json:
        answer_json({"sinks": found})
    else:
        answer_rows(found, ("id", "target", "name", "state", "lag_events", "lag_seconds", "last_error"))


@app.command()
def pause(sink: Sink, tenant: Tenant, url: Url = None, key: Key = None, data: Data = None, json: Json = False) -> None:
    """Send it nothing until it is resumed."""
    _do(tenant, sink, "pause", None, (url, key, data), json)


@app.command()
def resume(sink: Sink, tenant: Tenant, url: Url = None, key: Key = None, data: Data = None, json: Json = False) -> None:
    """Go on where it was, whether it was paused or disabled."""
    _do(tenant, sink, "resume", None, (url, key, data), json)


@app.command("test")
def send_test(
    sink: Sink, tenant: Tenant, url: Url = None, key: Key = None, data: Data = None, json: Json = False
) -> None:
    """Send one event that says it is a test, and tell what became of it."""
    _do(tenant, sink, "test", None, (url, key, data), json)


@app.command()
def replay(
    sink: Sink,
    tenant: Tenant,
    start: Annotated[int, typer.Option("--from", min=1, help="The first position to send again.")],
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Send everything again from a position on; a later one skips what is between."""
    _do(tenant, sink, "replay", {"from_position": start}, (url, key, data), json)


def _do(tenant: str, sink: str, what: str, body: Any, door: Any, json: bool) -> None:
    async def ask() -> dict[str, Any]:
        async with running_node(*door) as node:
            return await node.post(f"/v1/tenants/{checked(tenant)}/sinks/{sink}/{what}", body)

    answer(asyncio.run(ask()), json=json)
