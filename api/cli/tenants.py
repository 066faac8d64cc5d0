"""`muniment tenant …`: make, list, suspend, resume and delete tenants."""

import asyncio
from typing import Annotated, Any

import typer

from api.cli.door import Data, Json, Key, Url, running_node
from api.cli.printing import Failed, answer, answer_json, answer_rows

app = typer.Typer(name="tenant", help="Make, list, suspend, resume and delete tenants.", no_args_is_help=True)
TenantArgument = Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's id.")]


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that no other tenant has.")],
    region: Annotated[str | None, typer.Option(help="A label for where its data belongs.")] = None,
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Make a tenant."""

    async def ask() -> dict[str, Any]:
        async with running_node(url, key, data) as node:
            return await node.post("/v1/tenants", {"name": name} | ({"region": region} if region else {}))

    answer(asyncio.run(ask()), json=json)


@app.command("list")
def list_all(url: Url = None, key: Key = None, data: Data = None, json: Json = False) -> None:
    """List all tenants."""

    async def ask() -> list[dict[str, Any]]:
        async with running_node(url, key, data) as node:
            return [each async for each in node.pages("/v1/tenants", limit=500)]

    found = asyncio.run(ask())
    if json:
        answer_json({"tenants": found})
    else:
        answer_rows(found, ("id", "name", "life"))


@app.command("suspend")
def suspend(
    tenant: TenantArgument,
    reason: Annotated[str | None, typer.Option(help="Why; it is recorded, sealed.")] = None,
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Stop everything of a tenant at once, until it is resumed."""
    body = {"reason": reason} if reason else {}
    _change("POST", f"{_path(tenant)}/suspend", body, url, key, data, json)


@app.command("resume")
def resume(tenant: TenantArgument, url: Url = None, key: Key = None, data: Data = None, json: Json = False) -> None:
    """Let a suspended tenant go on."""
    _change("POST", f"{_path(tenant)}/resume", None, url, key, data, json)


@app.command("delete")
def delete(
    tenant: TenantArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """End a tenant for good; its history stays."""
    if not yes:
        typer.confirm(f"End {tenant} for good?", abort=True, err=True)
    _change("DELETE", _path(tenant), None, url, key, data, json)


def _path(tenant: str) -> str:
    return f"/v1/tenants/{checked(tenant)}"


def checked(tenant: str) -> str:
    """The id, if it can be one."""
    if not (tenant.isascii() and tenant.replace("_", "").isalnum()):
        raise Failed("name the tenant by its id, which `muniment tenant list` tells")
    return tenant


def _change(method: str, path: str, body: Any, url: Url, key: Key, data: Data, json: bool) -> None:
    async def ask() -> dict[str, Any]:
        async with running_node(url, key, data) as node:
            return await node.ask(method, path, body)

    answer(asyncio.run(ask()), json=json)
