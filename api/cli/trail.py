"""`muniment trail …`: search what happened, count it, ask it in SQL, and export it."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import typer

from api.cli.door import Data, Door, Json, Key, Tenant, Url, any_node, understood, unreachable
from api.cli.printing import Failed, answer, answer_json, answer_rows, progress, say
from api.cli.tenants import checked

app = typer.Typer(name="trail", help="Search what happened, count it, ask it in SQL, export it.", no_args_is_help=True)

_COLUMNS: Final = ("position", "recorded_at", "type", "actor", "permission", "id")
_LOOK: Final = 0.3
FORMATS: Final = ("csv", "ndjson", "parquet", "ocsf")
TABLES: Final = ("json", "csv", "ndjson", "parquet", "arrow")

Actor = Annotated[str | None, typer.Option(help="The id of who did it.")]
Subject = Annotated[str | None, typer.Option(help="The id of what it was done to.")]
Credential = Annotated[str | None, typer.Option(help="The id of the key it was done with.")]
Types = Annotated[list[str] | None, typer.Option("--type", help="An event's type; may be repeated.")]
Start = Annotated[str | None, typer.Option("--from", help="A position, or a time with an offset.")]
End = Annotated[str | None, typer.Option("--to", help="A position, or a time with an offset.")]
Text = Annotated[str | None, typer.Option(help="Text in names, ids and, if you may unseal, personal values.")]
Address = Annotated[str | None, typer.Option(help="The IP address it was asked from.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="A file to write to; standard output if left out.")]


@app.command("search")
def search(
    tenant: Tenant,
    actor: Actor = None,
    subject: Subject = None,
    credential: Credential = None,
    type: Types = None,
    text: Text = None,
    address: Address = None,
    start: Start = None,
    end: End = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 50,
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """List events, newest first."""
    wanted = _filters(actor, subject, credential, type, start, end) | _given(text=text, address=address)

    async def ask() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        async with any_node(url, key, data) as node:
            async for each in node.pages(f"/v1/tenants/{checked(tenant)}/trail", limit=min(limit, 500), **wanted):
                found.append(each)
                if len(found) == limit:
                    break
        return found

    found = asyncio.run(ask())
    if json:
        answer_json({"items": found})
        return
    lines = [
        {
            **each,
            "actor": f"{each['actor']['kind']} {each['actor']['id']}",
            "permission": each["authority"]["permission"],
        }
        for each in found
    ]
    answer_rows(lines, _COLUMNS)


@app.command("counts")
def counts(
    tenant: Tenant,
    bucket: Annotated[str, typer.Option(help="hour, day, week or month.")] = "day",
    actor: Actor = None,
    subject: Subject = None,
    credential: Credential = None,
    type: Types = None,
    start: Start = None,
    end: End = None,
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Say how many events there were in each hour, day, week or month."""
    wanted = _filters(actor, subject, credential, type, start, end)

    async def ask() -> dict[str, Any]:
        async with any_node(url, key, data) as node:
            return await node.get(f"/v1/tenants/{checked(tenant)}/trail/counts", bucket=bucket, **wanted)

    found = asyncio.run(ask())
    if json:
        answer_json(found)
        return
    answer_rows(found["items"], ("time", "count"))
    if found["cut"]:
        say(f"only events from position {found['since']} on were counted: narrow --from and --to")


@app.command("query")
def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="One SELECT; `-` reads it from standard input.")],
    tenant: Tenant,
    start: Start = None,
    end: End = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many rows at most.")] = 1_000,
    format: Annotated[str | None, typer.Option(help=f"One of {', '.join(TABLES)}; a table if left out.")] = None,
    out: Out = None,
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Ask in SQL over events, users, groups, roles … of a tenant."""
    if format is not None and format not in TABLES:
        raise typer.BadParameter(f"choose one of {', '.join(TABLES)}", param_hint="--format")
    body = {"sql": sys.stdin.read() if sql == "-" else sql, "limit": limit, **_given(**{"from": start, "to": end})}

    async def ask() -> httpx.Response:
        async with any_node(url, key, data) as node:
            return await _answered(
                node, "POST", f"/v1/tenants/{checked(tenant)}/trail/query", json=body, params=_given(format=format)
            )

    response = asyncio.run(ask())
    if format is not None or out is not None:
        _write(out, response.content)
        return
    found = understood(response)
    if json:
        answer_json(found)
        return
    names = [column["name"] for column in found["columns"]]
    answer_rows([dict(zip(names, row, strict=True)) for row in found["rows"]], names)
    if found["cut"]:
        say(f"there are more rows than {len(found['rows'])}: ask with a larger --limit, or for less")


@app.command("export")
def export(
    tenant: Tenant,
    out: Annotated[Path, typer.Option("--out", "-o", help="A folder for the file and its manifest; made if missing.")],
    format: Annotated[str, typer.Option(help=f"One of {', '.join(FORMATS)}.")] = "ndjson",
    actor: Actor = None,
    subject: Subject = None,
    credential: Credential = None,
    type: Types = None,
    start: Start = None,
    end: End = None,
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Have events written to a file, and fetch it with its manifest and, where there are some, its proofs."""
    if format not in FORMATS:
        raise typer.BadParameter(f"choose one of {', '.join(FORMATS)}", param_hint="--format")
    wanted = _filters(actor, subject, credential, type, start, end)
    wanted["types"] = wanted.pop("type", [])

    async def ask() -> dict[str, Any]:
        async with any_node(url, key, data) as node:
            base = f"/v1/tenants/{checked(tenant)}/exports"
            asked = await node.post(base, {"format": format, **wanted})
            found = await _finished(node, f"{base}/{asked['id']}")
            out.mkdir(parents=True, exist_ok=True)
            files = {}
            for what in ("file", "manifest", "proofs"):
                response = await node.client.get(f"{base}/{asked['id']}/{what}")
                if what == "proofs" and response.status_code == httpx.codes.CONFLICT:
                    say("no checkpoint covers these events yet: the proofs can be had in a minute")
                    continue
                if not response.is_success:
                    understood(response)
                path = out / _name_of(response, what)
                path.write_bytes(response.content)
                files[what] = str(path)
            return {**found, "files": files}

    found = asyncio.run(ask())
    if json:
        answer_json(found)
    else:
        told = {name: found[name] for name in ("id", "count", "first", "last", "sha256", "tree_size", "root")}
        answer({**told, **found["files"]}, json=False)


async def _finished(node: Door, path: str) -> dict[str, Any]:
    found = await node.get(path)
    with progress("Exporting") as advance:
        while found["state"] == "running":
            advance(found["done"] or 0, found["total"])
            await asyncio.sleep(_LOOK)
            found = await node.get(path)
    if found["state"] != "done":
        raise Failed(f"the export was not written: {found['reason']}")
    return found


async def _answered(node: Door, method: str, path: str, **asked: Any) -> httpx.Response:
    """Raises Failed."""
    try:
        response = await node.client.request(method, path, **asked)
    except httpx.HTTPError as problem:
        raise unreachable(node.url, problem) from problem
    if not response.is_success:
        understood(response)
    return response


def _name_of(response: httpx.Response, what: str) -> str:
    """The name that the node gives a file, as far as it is only a name."""
    _, _, name = response.headers.get("content-disposition", "").partition('filename="')
    return Path(name.partition('"')[0]).name or what


def _filters(
    actor: str | None,
    subject: str | None,
    credential: str | None,
    types: list[str] | None,
    start: str | None,
    end: str | None,
) -> dict[str, Any]:
    named = _given(actor=actor, subject=subject, credential=credential, type=types)
    return named | _given(**{"from": start, "to": end})


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _write(out: Path | None, content: bytes) -> None:
    if out is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        out.write_bytes(content)
