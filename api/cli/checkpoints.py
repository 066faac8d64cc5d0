"""`muniment checkpoint …`: make one, see and rotate its keys, name its witnesses, and fetch bundles."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from api.cli.door import Data, Door, Json, Key, Tenant, Url, running_node, understood, unreachable
from api.cli.printing import Failed, answer, answer_json, answer_rows, say
from api.cli.tenants import checked
from domain.ids import is_id

app = typer.Typer(name="checkpoint", help="Checkpoints, their keys and witnesses, and bundles.", no_args_is_help=True)


@app.command("make")
def make(url: Url = None, key: Key = None, data: Data = None, json: Json = False) -> None:
    """Make a checkpoint now, over everything recorded so far; 1 if a history is not what it was."""
    made = _asked("POST", "/v1/evidence/checkpoint", url, key, data)
    if json:
        answer_json(made)
    else:
        answer({name: made[name] for name in ("made", "number", "size", "root", "made_at", "tenants")}, json=False)
        for tenant, problem in made["wrong"].items():
            say(f"Error: {tenant} is in no checkpoint: {problem}")
    if made["wrong"]:
        raise typer.Exit(1)


@app.command("keys")
def keys(url: Url = None, key: Key = None, data: Data = None, json: Json = False) -> None:
    """The public keys that verify checkpoints. Give them to whoever verifies by another way than the bundles."""
    found = _asked("GET", "/v1/evidence/keys", url, key, data)
    if json:
        answer_json(found)
        return
    answer({"origin": found["origin"]}, json=False)
    answer_rows(found["keys"], ("vkey", "added_at", "signs_until"))
    if found["witnesses"]:
        answer_rows(found["witnesses"], ("id", "vkey"), title="Witnesses")


@app.command("rotate-key")
def rotate_key(
    overlap: Annotated[int, typer.Option(min=0, help="Seconds for which the keys before sign too.")] = 7 * 86_400,
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """A new key signs from now on; notes signed with the ones before can be verified as ever."""
    answer(_asked("POST", "/v1/evidence/keys/rotate", url, key, data, {"overlap_seconds": overlap}), json=json)


@app.command("witnesses")
def witnesses(url: Url = None, key: Key = None, data: Data = None, json: Json = False) -> None:
    """Who cosigns checkpoints, and how they stand."""
    found = _asked("GET", "/v1/evidence/witnesses", url, key, data)
    if json:
        answer_json(found)
    else:
        answer_rows(found["items"], ("id", "url", "checkpoint", "problem"))


@app.command("add-witness")
def add_witness(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Its submission prefix.")],
    vkey: Annotated[str, typer.Option(help="The key that it cosigns with: name+id+key.")],
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Ask somebody else to cosign each checkpoint; they must be given the log's origin and keys."""
    answer(_asked("POST", "/v1/evidence/witnesses", url, key, data, {"url": address, "vkey": vkey}), json=json)


@app.command("remove-witness")
def remove_witness(
    witness: Annotated[str, typer.Argument(metavar="WITNESS", help="Its id.")],
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Ask it no more; its cosignatures stay."""
    if not is_id(witness, "wit"):
        raise Failed("a witness's id begins with wit_: see `muniment checkpoint witnesses`")
    answer(_asked("DELETE", f"/v1/evidence/witnesses/{witness}", url, key, data), json=json)


@app.command("bundle")
def bundle(
    tenant: Tenant,
    into: Annotated[Path, typer.Argument(metavar="FILE", help="What to write: a file that doesn't exist yet.")],
    position: Annotated[list[int] | None, typer.Option("--position", "-p", help="Of an event; several times.")] = None,
    tag: Annotated[str | None, typer.Option(help="All events with a tag, such as user:usr_…, provably all.")] = None,
    first: Annotated[int | None, typer.Option("--from", help="From this position on.")] = None,
    last: Annotated[int | None, typer.Option("--to", help="Up to this position.")] = None,
    since: Annotated[str | None, typer.Option(help="With a tag: from this time on (RFC 3339).")] = None,
    until: Annotated[str | None, typer.Option(help="With a tag: up to this time (RFC 3339).")] = None,
    url: Url = None,
    key: Key = None,
    data: Data = None,
) -> None:
    """Fetch a bundle: a file that proves events offline. `muniment verify --bundle FILE` checks it."""
    asked = {"position": position, "tag": tag, "from": first, "to": last, "since": since, "until": until}
    query = {name: value for name, value in asked.items() if value is not None}

    async def ask() -> bytes:
        async with running_node(url, key, data) as node:
            return await _fetched(node, f"/v1/tenants/{checked(tenant)}/evidence/bundle", query)

    found = asyncio.run(ask())
    try:
        with into.open("xb") as file:
            file.write(found)
    except FileExistsError:
        raise Failed(f"{into} exists already: name a file that doesn't") from None
    say(f"{into} has {len(found):,} bytes: check it with `muniment verify --bundle {into} --vkey KEY`")


async def _fetched(node: Door, path: str, query: dict[str, Any]) -> bytes:
    try:
        response = await node.client.get(path, params=query)
    except httpx.HTTPError as problem:
        raise unreachable(node.url, problem) from problem
    if not response.is_success:
        understood(response)
    return response.content


def _asked(
    method: str, path: str, url: str | None, key: str | None, data: Path | None, body: Any = None
) -> dict[str, Any]:
    async def ask() -> dict[str, Any]:
        async with running_node(url, key, data) as node:
            return await node.ask(method, path, body)

    return asyncio.run(ask())
