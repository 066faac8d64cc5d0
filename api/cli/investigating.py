"""`muniment replay blast-radius` and `muniment incident`: what followed from a credential, and the report of it."""

import asyncio
import base64
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer
from rich.text import Text

from api.cli.door import Data, Json, Key, Tenant, Url, any_node
from api.cli.printing import Failed, answer, answer_json, answer_rows, out, say
from api.cli.tenants import checked

Of = Annotated[str, typer.Argument(metavar="OF", help="A key, token, user, directory or operator, or an address: tag.")]
From = Annotated[str | None, typer.Option("--from", metavar="MOMENT", help="A position or a time.")]
To = Annotated[str | None, typer.Option("--to", metavar="MOMENT", help="A position or a time; now if left out.")]
_COLUMNS: Final = ("position", "recorded_at", "type", "by", "subjects", "because")


def blast_radius(
    of: Of,
    tenant: Tenant,
    start: From = None,
    end: To = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many events at most.")] = 1_000,
    format: Annotated[
        Literal["table", "dot"], typer.Option("--format", help="A table, or a graph for Graphviz.")
    ] = "table",
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """List all that was done with a credential (or by somebody), and by whatever that brought about."""

    async def ask() -> Any:
        async with any_node(url, key, data) as node:
            path = f"/v1/tenants/{checked(tenant)}/blast-radius"
            query = {"of": of, "from": start, "to": end, "limit": limit}
            found = await node.ask("GET", path, query=query)
            if format == "table":
                return found
            named = {name: value for name, value in query.items() if value is not None}
            return (await node.client.get(f"{path}.dot", params=named)).text

    found = asyncio.run(ask())
    if format == "dot":
        typer.echo(found, nl=False)
    elif json:
        answer_json(found)
    else:
        print_radius(found)


def print_radius(found: dict[str, Any]) -> None:
    rows = [{**each, "by": each["credential"] or each["actor"]["id"]} for each in found["events"]]
    things = len(found["nodes"]) - 1
    answer_rows(rows, _COLUMNS, title=f"{len(rows)} events and {things} things follow from {found['of']}")
    for cut in found["cuts"]:
        out.print(Text(f"Cut at {cut['position']}: {cut['because']}", style="bold"))


def incident(
    tenant: Tenant,
    of: Annotated[str, typer.Option("--of", help="A key, token, user, directory or operator, or an address: tag.")],
    into: Annotated[Path, typer.Option("--out", metavar="DIR", help="A folder; made if it isn't there.")],
    start: From = None,
    end: To = None,
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Write the report of an incident: timeline, radius, before and after, why, and proofs, to read or to print."""

    async def ask() -> dict[str, Any]:
        async with any_node(url, key, data) as node:
            body = {name: value for name, value in (("of", of), ("from", start), ("to", end)) if value is not None}
            return await node.post(f"/v1/tenants/{checked(tenant)}/incident", body)

    found = asyncio.run(ask())
    written = write_incident(into, found)
    told = {
        "events": len(found["radius"]["events"]),
        "things": len(found["radius"]["nodes"]) - 1,
        "complete": found["radius"]["complete"],
        "changes": len(found["changes"]["items"]),
        "whys": len(found["whys"]["items"]),
        "proved": found["proofs"]["bundle"] is not None,
        "files": [str(each) for each in written],
    }
    answer(told, json=json)
    if not told["proved"]:
        say(f"There are no proofs yet: {found['proofs']['missing']}.")


def write_incident(into: Path, found: dict[str, Any]) -> list[Path]:
    """The page, the data, and the bundle, if there is one; for their owner alone. Raises Failed."""
    from api.incident import Incident, plain  # takes a second, which the other commands don't need
    from api.incident_page import page_of_incident

    report = Incident.model_validate(found)
    files = {"incident.html": page_of_incident(report).encode(), "incident.json": plain(report)}
    if report.proofs.bundle:
        files["events.muniment.json"] = base64.b64decode(report.proofs.bundle)
    try:
        into.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, content in files.items():
            path = into / name
            path.touch(mode=0o600)
            path.write_bytes(content)
    except OSError as problem:
        raise Failed(f"{into} can't be written ({problem.strerror}): name another folder with --out") from problem
    return [into / name for name in files]
