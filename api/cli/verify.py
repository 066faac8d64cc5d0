"""`muniment verify`: whether every view is what the history folds to, and the history what its hashes say."""

import asyncio
from typing import Annotated, Any

import typer

from api.cli.door import Data, Door, Json, Key, Url, any_node
from api.cli.printing import answer_json, answer_rows, out, progress
from api.cli.tenants import checked

TenantOption = Annotated[
    list[str] | None, typer.Option("--tenant", "-t", help="Only this tenant; may be given several times.")
]


def verify(
    tenant: TenantOption = None, url: Url = None, key: Key = None, data: Data = None, json: Json = False
) -> None:
    """Compare stored and resident views with the history, and the history with its hashes; 1 if anything differs."""

    async def ask() -> tuple[dict[str, Any], list[dict[str, Any]]]:
        async with any_node(url, key, data) as node:
            wanted = [checked(each) for each in tenant] if tenant else await _every(node)
            log = await node.post("/v1/node/verify")
            found = []
            with progress("Verifying tenants") as advance:
                for done, each in enumerate(wanted):
                    advance(done, len(wanted))
                    found.append(await node.post(f"/v1/tenants/{each}/verify"))
            return log, found

    log, found = asyncio.run(ask())
    holds = log["holds"] and all(each["holds"] for each in found)
    if json:
        answer_json({"holds": holds, "log": log, "tenants": found})
    else:
        _print(log, found)
    if not holds:
        raise typer.Exit(1)


async def _every(node: Door) -> list[str]:
    return ["_deployment", *[each["id"] async for each in node.pages("/v1/tenants", limit=500)]]


def _print(log: dict[str, Any], found: list[dict[str, Any]]) -> None:
    says = f"holds, with chain {log['chain']}" if log["holds"] else log["problem"]
    out.print(f"The log of {log['sequence']} events {says}", markup=False)
    rows = [
        {
            "tenant": each["tenant"],
            "position": each["position"],
            "history": "holds" if each["history"]["holds"] else each["history"]["problem"],
            **{place["place"]: "holds" if not place["differences"] else "differs" for place in each["places"]},
            "root": each["history"]["root"][:16],
        }
        for each in found
    ]
    answer_rows(rows, ("tenant", "position", "history", "stored", "resident", "root"))
    for each in found:
        for place in each["places"]:
            for difference in place["differences"]:
                what = f"{each['tenant']} {place['place']} {difference['view']} {difference['key'] or ''}"
                out.print(f"{what}: {difference['what']}", markup=False)
