"""`muniment action …`: register what a product may say of itself, and record events from a file."""

import asyncio
import json as json_lines
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.door import Data, Json, Key, Tenant, Url, running_node
from api.cli.printing import Failed, answer, answer_json, answer_rows
from api.cli.tenants import checked

app = typer.Typer(name="action", help="Register audit actions, and record product events.", no_args_is_help=True)
Action = Annotated[str, typer.Argument(help="The action's name, such as invoice.approved.")]
AT_ONCE = 200


@app.command()
def register(
    action: Action,
    schema: Annotated[Path, typer.Option(help="A file with the JSON Schema of the metadata.", dir_okay=False)],
    tenant: Annotated[str, typer.Option("--tenant", "-t", help="The tenant; left out: for all tenants.")] = "",
    version: Annotated[int, typer.Option(min=1, help="A version that exists may grow.")] = 1,
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Register a version of an action, or let it grow."""
    body = {"action": action, "version": version, "schema": _read(schema)}

    async def ask() -> dict[str, Any]:
        async with running_node(url, key, data) as node:
            return await node.post(f"/v1/tenants/{_where(tenant)}/audit-actions", body)

    answer(asyncio.run(ask()), json=json)


@app.command("list")
def list_all(
    tenant: Annotated[str, typer.Option("--tenant", "-t", help="The tenant; left out: those of all tenants.")] = "",
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """List the actions that are registered for a tenant, or for all."""

    async def ask() -> list[dict[str, Any]]:
        async with running_node(url, key, data) as node:
            return [each async for each in node.pages(f"/v1/tenants/{_where(tenant)}/audit-actions", limit=500)]

    found = asyncio.run(ask())
    if json:
        answer_json({"actions": found})
    else:
        answer_rows(found, ("action", "version", "registered_at", "changed_at"))


@app.command()
def record(
    file: Annotated[Path, typer.Argument(help="Events, one JSON object a line.", dir_okay=False)],
    tenant: Tenant,
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Record product events; what was recorded before is passed over, so that it can be run again."""

    async def ask() -> dict[str, Any]:
        counts, refused = {"recorded": 0, "repeated": 0, "refused": 0}, list[dict[str, Any]]()
        with file.open() as lines:
            said = (each for each in lines if each.strip())
            async with running_node(url, key, data) as node:
                while chunk := [_parsed(each) for each in islice(said, AT_ONCE)]:
                    made = await node.post(f"/v1/tenants/{checked(tenant)}/audit-events", {"events": chunk})
                    counts = {name: count + made[name] for name, count in counts.items()}
                    refused += [each for each in made["items"] if each["status"] == "refused"]
        return {**counts, "why": [f"{each['id']}: {each['because']}" for each in refused[:20]]}

    answer(asyncio.run(ask()), json=json)


def _where(tenant: str) -> str:
    return checked(tenant) if tenant else "_deployment"


def _read(path: Path) -> Any:
    try:
        return _parsed(path.read_text())
    except OSError as problem:
        raise Failed(f"the file can't be read ({problem.strerror})") from problem


def _parsed(text: str) -> Any:
    try:
        return json_lines.loads(text)
    except ValueError:
        raise Failed("the file holds something that is no JSON: correct it, and run this again") from None
