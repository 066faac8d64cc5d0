"""`muniment replay why | access | state`: why something was decided, what a credential could do, what a view was."""

import asyncio
from typing import Annotated, Any

import typer
from rich.text import Text

from api.cli.door import Data, Json, Key, Tenant, Url, any_node
from api.cli.printing import answer_json, answer_rows, out
from api.cli.replaying import Moment
from api.cli.tenants import checked

_VERDICTS = {"same": "the same answer", "different": "another answer", "undecidable": "undecidable"}


def why(
    position: Annotated[int, typer.Argument(min=1, metavar="POSITION", help="Of the event that is asked about.")],
    tenant: Tenant,
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Say why something was allowed, or refused: decided again in the state and by the rules of then."""

    async def ask() -> dict[str, Any]:
        async with any_node(url, key, data) as node:
            return await node.get(f"/v1/tenants/{checked(tenant)}/why", position=position)

    found = asyncio.run(ask())
    if json:
        answer_json(found)
    else:
        print_why(found)


def print_why(found: dict[str, Any]) -> None:
    decision, again = found["decision"], found["again"]
    was = "allowed" if decision["allowed"] and not decision["kind"] else "refused"
    who = f"{decision['actor']['kind']} {decision['actor']['id']}"
    out.print(
        Text(f"{found['type']} at {found['position']}: {decision['permission']} was {was} to {who}", style="bold")
    )
    if again is not None:
        said = "allowed" if again["allowed"] else "refused"
        out.print(Text(f"    decided again: {said}, because {again['because']} ({_VERDICTS[found['verdict']]})"))
    for missing in found["missing"]:
        out.print(Text(f"    missing: {missing}"))
    print_path(found["path"])


def print_path(path: list[dict[str, Any]]) -> None:
    for step in path:
        where = ""
        if step["position"] is not None:
            where = f" (at {step['position']}, by {step['actor']['kind']} {step['actor']['id']})"
        out.print(Text(f"    {step['what']}{where}", style="dim"))


def access(
    credential: Annotated[str, typer.Argument(metavar="CREDENTIAL", help="A key's or token's id.")],
    permission: Annotated[str, typer.Argument(metavar="PERMISSION", help="Like users:manage.")],
    tenant: Tenant,
    at: Annotated[
        str | None, typer.Option("--at", metavar="MOMENT", help="A position or a time; now if left out.")
    ] = None,
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Say whether a credential had a permission at a moment, and because of what."""

    async def ask() -> dict[str, Any]:
        async with any_node(url, key, data) as node:
            path = f"/v1/tenants/{checked(tenant)}/access"
            return await node.get(path, credential=credential, permission=permission, as_of=at)

    found = asyncio.run(ask())
    if json:
        answer_json(found)
        return
    said = "allowed" if found["decision"]["allowed"] else "refused"
    out.print(Text(f"{said} at {found['position']}, because {found['decision']['because']}", style="bold"))
    print_path(found["path"])


def state(
    moment: Moment,
    tenant: Tenant,
    view: Annotated[str, typer.Argument(metavar="VIEW", help="A view: users, groups, members, api_keys …")] = "users",
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Fold a view again from the ledger alone, up to a moment, and list its rows."""

    async def ask() -> dict[str, Any]:
        async with any_node(url, key, data) as node:
            path, query = f"/v1/tenants/{checked(tenant)}/state", {"view": view, "as_of": moment, "limit": 500}
            whole = await node.get(path, **query)
            cursor = whole.pop("next")
            while cursor is not None:
                page = await node.get(path, **{**query, "as_of": whole["position"], "cursor": cursor})
                whole["items"] += page["items"]
                cursor = page["next"]
            return whole

    found = asyncio.run(ask())
    if json:
        answer_json(found)
        return
    rows = [{"key": each["key"], "since": each["since"], **each["values"]} for each in found["items"]]
    names = [name for name in (rows[0] if rows else ()) if not name.endswith("_hash")]
    answer_rows(rows, names, title=f"{view} as of {found['position']}: {found['rows']} rows, hash {found['hash'][:16]}")
