"""`muniment archive …`: how far the archive is, whether it is the log, and how long what is kept."""

import asyncio
from typing import Annotated, Any

import typer

from api.cli.door import Data, Door, Json, Key, Tenant, Url, any_node
from api.cli.printing import answer, answer_json, answer_rows, out
from api.cli.tenants import checked

app = typer.Typer(name="archive", help="The archive of a tenant: verify it, keep it, trim it.", no_args_is_help=True)
_PROBLEMS = ("file", "first", "last", "what")


def _ask(method: str, path: str, tenant: str, door: tuple[Any, Any, Any], body: Any = None) -> dict[str, Any]:
    async def ask() -> dict[str, Any]:
        async with any_node(*door) as node:
            return await node.ask(method, f"/v1/tenants/{checked(tenant)}/{path}", body)

    return asyncio.run(ask())


@app.command("status")
def status(tenant: Tenant, url: Url = None, key: Key = None, data: Data = None, json: Json = False) -> None:
    """Say how far it is, how large, and what was found when it was verified last."""
    answer(_ask("GET", "archive", tenant, (url, key, data)), json=json)


@app.command("run")
def run(tenant: Tenant, url: Url = None, key: Key = None, data: Data = None, json: Json = False) -> None:
    """Archive everything up to the head now."""
    answer(_ask("POST", "archive", tenant, (url, key, data)), json=json)


@app.command("verify")
def verify(tenant: Tenant, url: Url = None, key: Key = None, data: Data = None, json: Json = False) -> None:
    """Compare the whole archive with the log; 1 if anything differs, with the file and the position."""

    async def ask() -> dict[str, Any]:
        async with any_node(url, key, data) as node:
            return await _verified(node, checked(tenant))

    found = asyncio.run(ask())
    if json:
        answer_json(found)
    else:
        holds = "holds" if found["holds"] else "differs"
        out.print(f"The archive up to {found['last']} {holds}: {found['events']} events in {found['files']} files")
        if found["problems"]:
            answer_rows(found["problems"], _PROBLEMS)
    if not found["holds"]:
        raise typer.Exit(1)


async def _verified(node: Door, tenant: str) -> dict[str, Any]:
    """A stretch after another, as one."""
    whole: dict[str, Any] = {"last": 0, "files": 0, "events": 0, "holds": True, "problems": []}
    after: int | None = 0
    while after is not None:
        found = await node.post(f"/v1/tenants/{tenant}/archive/verify", after=after)
        for name in ("files", "events", "problems"):
            whole[name] += found[name]
        whole["last"], whole["holds"] = found["last"], whole["holds"] and found["holds"]
        after = found["next"]
    return whole


@app.command("trimmable")
def trimmable(tenant: Tenant, url: Url = None, key: Key = None, data: Data = None, json: Json = False) -> None:
    """Say below which position the ledger may be trimmed: all before it is archived and verified, and no hold is on."""
    found = _ask("GET", "archive", tenant, (url, key, data))
    told = {name: found[name] for name in ("trimmable_below", "last", "verified", "problems")}
    answer(told, json=json)


@app.command("trim")
def trim(tenant: Tenant, url: Url = None, key: Key = None, data: Data = None, json: Json = False) -> None:
    """Remove from the archive what is older than the retention now, unless a hold is on."""
    answer(_ask("POST", "archive/trim", tenant, (url, key, data)), json=json)


@app.command("retention")
def retention(
    tenant: Tenant,
    days: Annotated[str | None, typer.Argument(metavar="[DAYS]", help="A number, or never to keep all.")] = None,
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Say how long history is kept; with DAYS, change it."""
    door = (url, key, data)
    if days == "never":
        _ask("DELETE", "retention", tenant, door)
    elif days is not None:
        if not days.isascii() or not days.isdigit() or len(days) > 9:
            raise typer.BadParameter("write a number of days, or never", param_hint="DAYS")
        _ask("PUT", "retention", tenant, door, {"days": int(days)})
    answer(_ask("GET", "retention", tenant, door), json=json)


@app.command("hold")
def hold(
    tenant: Tenant,
    reason: Annotated[str | None, typer.Argument(metavar="[REASON]", help="Kept sealed.")] = None,
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Place a legal hold: nothing of the tenant's history is trimmed while one is on."""
    answer(_ask("POST", "legal_holds", tenant, (url, key, data), {"reason": reason}), json=json)


@app.command("holds")
def holds(tenant: Tenant, url: Url = None, key: Key = None, data: Data = None, json: Json = False) -> None:
    """List the legal holds that are on."""

    async def ask() -> list[dict[str, Any]]:
        async with any_node(url, key, data) as node:
            return [each async for each in node.pages(f"/v1/tenants/{checked(tenant)}/legal_holds", limit=500)]

    found = asyncio.run(ask())
    if json:
        answer_json({"items": found})
    else:
        answer_rows(found, ("id", "placed_at", "reason"))


@app.command("lift")
def lift(
    tenant: Tenant,
    hold: Annotated[str, typer.Argument(metavar="HOLD", help="The hold's id.")],
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Lift a legal hold."""
    answer(_ask("DELETE", f"legal_holds/{hold}", tenant, (url, key, data)), json=json)
