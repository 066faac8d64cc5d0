"""`muniment person …`: what is recorded about one person."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from api.cli.door import Data, Door, Json, Key, Tenant, Url, any_node
from api.cli.printing import Failed, answer, answer_json, progress
from api.cli.tenants import checked

app = typer.Typer(name="person", help="Export what is recorded about a person.", no_args_is_help=True)


@app.callback()
def people() -> None:
    """What is recorded about a person."""


@app.command("export")
def export(
    user: Annotated[str, typer.Argument(metavar="USER", help="The user's id.")],
    tenant: Tenant,
    into: Annotated[Path | None, typer.Option("--into", help="A new file; else standard output.")] = None,
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Everything recorded about a person, as JSON."""

    async def ask() -> dict[str, Any]:
        async with any_node(url, key, data) as node:
            return await _export(node, f"/v1/tenants/{checked(tenant)}/users/{checked(user)}/export")

    exported = asyncio.run(ask())
    if into is None:
        answer_json(exported)
        return
    try:
        descriptor = os.open(into, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Failed(f"{into} exists already: name a new file") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(orjson.dumps(exported, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    answer({"written": str(into), "lines_of_history": len(exported["history"])}, json=json)


async def _export(node: Door, path: str) -> dict[str, Any]:
    """All pages of the history under the first page's answer."""
    whole = await node.get(path)
    of = whole["position"]
    with progress("Reading the history") as advance:
        cursor = whole.pop("next")
        while cursor is not None:
            page = await node.get(path, cursor=cursor, as_of=of)
            whole["history"] += page["history"]
            cursor = page["next"]
            advance(whole["history"][-1]["position"], of)
    return whole
