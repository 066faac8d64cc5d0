"""`muniment operator …`: the operator's own key."""

import asyncio
from typing import Any

import typer

from api.cli.door import Data, Json, Key, Url, running_node
from api.cli.printing import answer

app = typer.Typer(name="operator", help="Replace the operator's key.", no_args_is_help=True)


@app.callback()
def operators() -> None:
    """The operator's key."""


@app.command("rotate")
def rotate(url: Url = None, key: Key = None, data: Data = None, json: Json = False) -> None:
    """Make a new operator key; the one before opens nothing any more."""

    async def ask() -> dict[str, Any]:
        async with running_node(url, key, data) as node:
            return await node.post("/v1/operator/rotate")

    answer(asyncio.run(ask()), json=json)
