"""`muniment replay …`: read what was, compare two moments, and build the views anew."""

import asyncio
from typing import Annotated, Any, Final

import typer
from rich.text import Text

from api.cli.door import Data, Door, Json, Key, Tenant, Url, any_node
from api.cli.printing import Failed, answer, answer_json, answer_rows, out, plain, progress
from api.cli.tenants import checked

app = typer.Typer(name="replay", help="Read what was, compare two moments, build views anew.", no_args_is_help=True)

WHAT: Final = {
    "users": ("id", "user_name", "display_name", "active", "since"),
    "groups": ("id", "display_name", "since"),
    "roles": ("id", "name", "permissions", "since"),
    "directories": ("id", "name", "provider", "since"),
    "keys": ("id", "holder", "permissions", "since"),
    "flags": ("id", "key", "on", "default_variant", "since"),
    "settings": ("setting", "value", "since"),
}
_LONGEST: Final = 100
Moment = Annotated[str, typer.Argument(metavar="MOMENT", help="A position (1, 2, 3 …) or a time with an offset.")]


@app.command("as-of")
def as_of(
    moment: Moment,
    tenant: Tenant,
    what: Annotated[str, typer.Argument(metavar="WHAT", help=f"One of {', '.join(WHAT)}.")] = "users",
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """List things as they were at a moment."""
    if what not in WHAT:
        raise typer.BadParameter(f"choose one of {', '.join(WHAT)}", param_hint="WHAT")

    async def ask() -> list[dict[str, Any]]:
        async with any_node(url, key, data) as node:
            path = f"/v1/tenants/{checked(tenant)}/{what}"
            return [each async for each in node.pages(path, as_of=moment, limit=500)]

    found = asyncio.run(ask())
    if json:
        answer_json({"as_of": moment, what: found})
    else:
        answer_rows(found, WHAT[what], title=f"{what} as of {moment}")


@app.command("diff")
def diff(
    start: Annotated[str, typer.Argument(metavar="FROM", help="A position (0: before everything) or a time.")],
    tenant: Tenant,
    end: Annotated[str | None, typer.Argument(metavar="[TO]", help="A position or a time; now if left out.")] = None,
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Say what changed between two moments, who changed it, and under what authority."""

    async def ask() -> dict[str, Any]:
        async with any_node(url, key, data) as node:
            return await compared(node, checked(tenant), start, end)

    found = asyncio.run(ask())
    if json:
        answer_json(found)
    else:
        print_differences(found)


async def compared(node: Door, tenant: str, start: str, end: str | None) -> dict[str, Any]:
    """All pages of a comparison as one."""
    path = f"/v1/tenants/{tenant}/diff"
    query = {"from": start, "to": end, "limit": 500}
    whole = await node.ask("GET", path, query=query)
    cursor = whole.pop("next")
    while cursor is not None:
        page = await node.ask("GET", path, query={**query, "cursor": cursor})
        whole["items"] += page["items"]
        cursor = page["next"]
    return whole


def print_differences(found: dict[str, Any], most: int | None = None) -> None:
    """Each row that is another: what differs, and who made it so last."""
    start, end = found["start"], found["end"]
    out.print(f"From {start['position']} ({start['time']}) to {end['position']} ({end['time']})")
    for item in found["items"][:most]:
        out.print(Text(f"{item['view']} {item['key']}", style="bold"))
        for line in _what(item):
            out.print(Text(f"    {line}"))
        cause = item["causes"][-1]
        who = f"{cause['actor']['kind']} {cause['actor']['id']}"
        who += "".join(f" on behalf of {each}" for each in cause["on_behalf_of"])
        authority = cause["authority"]["permission"]
        out.print(Text(f"    by {who}, who may {authority}, at {cause['position']} ({cause['type']})", style="dim"))
    if most is not None and len(found["items"]) > most:
        out.print(f"… and {len(found['items']) - most} more")


def _what(item: dict[str, Any]) -> list[str]:
    if item["before"] is None:
        return ["came"]
    if item["after"] is None:
        return ["went"]
    before, after = item["before"]["values"], item["after"]["values"]
    changed = [f"{name}: {_short(before[name])} → {_short(after[name])}" for name in item["fields"]]
    return changed or [f"is as it was, after {item['steps']} changes"]


def _short(value: Any) -> str:
    text = plain(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


@app.command("rebuild")
def rebuild(url: Url = None, key: Key = None, data: Data = None, json: Json = False) -> None:
    """Build the stored views anew beside the live ones, compare them with the history, and swap."""

    async def ask() -> dict[str, Any]:
        async with any_node(url, key, data) as node:
            state = await node.post("/v1/node/rebuild")
            with progress("Rebuilding") as advance:
                while state["state"] == "running":
                    advance(state["done"], state["total"])
                    await asyncio.sleep(0.2)
                    state = await node.get("/v1/node/rebuild")
            return state

    state = asyncio.run(ask())
    if state["state"] != "done":
        raise Failed(f"the views were not rebuilt, the live ones are as they were: {state['problem']}")
    answer({"rebuilt": True, "tenants_compared": state["total"]}, json=json)
