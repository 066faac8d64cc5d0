"""`muniment demo`: an organisation through the front door, edited, and asked what it was."""

import asyncio
from typing import Annotated, Any, Final

import typer

from api.cli.door import Data, Json, Key, Url, running_node
from api.cli.printing import answer_json
from api.demo.organisation import generated, planet_express
from api.demo.story import Story

USERS: Final = 20_000
USERS_A_GROUP: Final = 40


def demo(
    users: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="How many the generated organisation has; 0 for none.")
    ] = USERS,
    small: Annotated[bool, typer.Option("--small", help="Planet Express alone.")] = False,
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Push Planet Express in over SCIM, edit it, read its history; then a generated organisation of many."""

    async def tell() -> dict[str, Any]:
        async with running_node(url, key, data) as node:
            story = Story(node, quiet=json)
            told: dict[str, Any] = {"planet_express": await story.planet_express(planet_express())}
            if users and not small:
                told["generated"] = await story.crowd(generated(users, max(1, users // USERS_A_GROUP)))
            return told

    told = asyncio.run(tell())
    if json:
        answer_json(told)
