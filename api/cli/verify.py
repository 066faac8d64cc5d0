"""`muniment verify`: whether every view is what the history folds to, and the history what its hashes say.

With a bundle it asks nobody: what a file proves to somebody who has the log's public key is found out offline. An audit
asks the node for everything, and believes none of it.
"""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.auditing import audit_tenant
from api.cli.bundles import trusted_keys, verified, verify_bundles, what_is_proved
from api.cli.door import Data, Door, Json, Key, Url, any_node
from api.cli.exported import ExportWrong
from api.cli.printing import answer_json, answer_rows, out, plain, progress, say
from api.cli.tenants import checked
from domain.evidence.auditing import AuditWrong
from domain.evidence.bundles import BundleWrong

TenantOption = Annotated[
    list[str] | None, typer.Option("--tenant", "-t", help="Only this tenant; may be given several times.")
]

Bundles = Annotated[
    list[Path] | None,
    typer.Option("--bundle", "-b", metavar="FILE", help="Check this bundle offline; may be given several times."),
]
Vkeys = Annotated[
    list[str] | None,
    typer.Option(
        "--vkey", metavar="KEY", envvar="MUNIMENT_VKEY", help="Whom to trust: a public key, or a file of them."
    ),
]
Witnesses = Annotated[
    int, typer.Option("--witnesses", min=0, max=64, help="So many of the trusted witnesses must have signed.")
]
Audited = Annotated[
    bool,
    typer.Option(
        "--audit", help="Fetch whole histories and check them here, by --vkey alone; also against every --bundle."
    ),
]


def verify(
    tenant: TenantOption = None,
    bundle: Bundles = None,
    vkey: Vkeys = None,
    witnesses: Witnesses = 0,
    audit: Audited = False,
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Compare stored and resident views with the history, and the history with its hashes; 1 if anything differs.

    With --bundle no node is asked: the file is checked by itself, against the public keys named with --vkey. With
    --audit the node is asked for all events of each tenant, and nothing it says is believed but what the keys prove.
    """
    if audit:
        if not _audit(tenant, bundle or [], vkey or [], witnesses, (url, key, data), json=json):
            raise typer.Exit(1)
        return
    if bundle:
        if not verify_bundles(bundle, vkey or [], witnesses, json=json):
            raise typer.Exit(1)
        return

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


def _audit(
    tenants: list[str] | None,
    bundles: list[Path],
    vkeys: list[str],
    witnesses: int,
    where: tuple[str | None, str | None, Path | None],
    *,
    json: bool,
) -> bool:
    """Whether every history is whole and as it was committed to."""
    trusted = trusted_keys(vkeys)
    try:
        known = [(str(each), verified(each, trusted, witnesses)[0]) for each in bundles]
    except (BundleWrong, ExportWrong) as problem:
        say(f"Error: {plain(str(problem))}")
        return False

    async def ask() -> list[dict[str, Any]]:
        told = []
        async with any_node(*where) as node:
            for each in [checked(each) for each in tenants] if tenants else await _every(node):
                with progress(f"Auditing {each}") as advance:
                    try:
                        found = await audit_tenant(node, each, trusted, witnesses, known, advance)
                    except (AuditWrong, BundleWrong) as problem:
                        told.append({"tenant": each, "holds": False, "problem": str(problem)})
                    else:
                        told.append({**what_is_proved(found), "holds": True, "problem": None})
        return told

    told = asyncio.run(ask())
    holds = all(each["holds"] for each in told)
    if json:
        answer_json({"holds": holds, "tenants": told})
        return holds
    for each in told:
        if each["holds"]:
            out.print(
                f"{each['tenant']}: all {each['size']} events are as committed to, root {each['root']}", markup=False
            )
        else:
            say(f"Error: {each['tenant']}: {plain(each['problem'])}")
    return holds


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
