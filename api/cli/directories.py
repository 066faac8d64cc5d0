"""`muniment directory …`: make and list the feeds that provision over SCIM."""

import asyncio
from typing import Annotated, Any

import typer

from api.cli.door import Data, Json, Key, Tenant, Url, running_node
from api.cli.printing import answer, answer_json, answer_rows
from api.cli.tenants import checked

app = typer.Typer(name="directory", help="Make and list directories (SCIM).", no_args_is_help=True)


@app.command("create")
def create(
    tenant: Tenant,
    name: Annotated[str, typer.Option(help="What people call it.")] = "Directory",
    provider: Annotated[str, typer.Option(help="Who provisions: okta, entra, onelogin, generic …")] = "generic",
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Make a directory; its SCIM address and bearer token are told this once."""

    async def ask() -> dict[str, Any]:
        async with running_node(url, key, data) as node:
            body = {"name": name, "provider": provider}
            return await node.post(f"/v1/tenants/{checked(tenant)}/directories", body)

    answer(asyncio.run(ask()), json=json)


@app.command("list")
def list_all(tenant: Tenant, url: Url = None, key: Key = None, data: Data = None, json: Json = False) -> None:
    """List a tenant's directories."""

    async def ask() -> list[dict[str, Any]]:
        async with running_node(url, key, data) as node:
            return [each async for each in node.pages(f"/v1/tenants/{checked(tenant)}/directories", limit=500)]

    found = asyncio.run(ask())
    if json:
        answer_json({"directories": found})
    else:
        answer_rows(found, ("id", "name", "provider", "scim_url"))
