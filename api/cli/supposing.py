"""`muniment replay what-if`: a copy of history is edited, and what would have been decided otherwise is listed."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.text import Text

from api.cli.door import Data, Json, Key, Tenant, Url, any_node
from api.cli.printing import Failed, answer_json, answer_rows, out
from api.cli.tenants import checked

Several = list[str] | None


def what_if(
    tenant: Tenant,
    leave_out: Annotated[Several, typer.Option(metavar="POSITION", help="As if this event had not happened.")] = None,
    without: Annotated[
        Several, typer.Option(metavar="CREDENTIAL[@FROM]", help="As if it had not been used (from a position on).")
    ] = None,
    revoke: Annotated[
        Several, typer.Option(metavar="KEY@AFTER", help="As if the key had been revoked right after a position.")
    ] = None,
    move: Annotated[
        Several, typer.Option(metavar="POSITION@AFTER", help="As if an event had happened right after another.")
    ] = None,
    permit: Annotated[
        Several,
        typer.Option(metavar="ID=PERMISSIONS[@FROM]", help="As if a role or key had permitted these, with commas."),
    ] = None,
    edits: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A list of edits in JSON, as the API takes them.")
    ] = None,
    stay: Annotated[bool, typer.Option("--open", help="Tell consequences, and leave them in.")] = False,
    to: Annotated[
        int | None, typer.Option("--to", min=1, metavar="POSITION", help="Look so far; now if left out.")
    ] = None,
    url: Url = None,
    key: Key = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """List every decision, credential and access that would be other, had history been so."""
    wanted = [
        *([{"edit": "leave_out", "positions": [_number(each) for each in leave_out]}] if leave_out else []),
        *(_without(each) for each in without or ()),
        *(_revoked(each) for each in revoke or ()),
        *(_moved(each) for each in move or ()),
        *(_permitted(each) for each in permit or ()),
        *_read(edits),
    ]
    if not wanted:
        raise Failed("say what to suppose: --leave-out, --without, --revoke, --move, --permit or --edits")
    body = {"edits": wanted, "mode": "open" if stay else "closed", "to_position": to, "limit": 10_000}

    async def ask() -> dict[str, Any]:
        async with any_node(url, key, data) as node:
            return await node.post(f"/v1/tenants/{checked(tenant)}/what-if", body)

    found = asyncio.run(ask())
    if json:
        answer_json(found)
    else:
        print_flips(found)


def _without(text: str) -> dict[str, Any]:
    credential, _, first = text.partition("@")
    return {"edit": "leave_out", "credential": credential, "from_position": _number(first or "1")}


def _revoked(text: str) -> dict[str, Any]:
    credential, _, after = text.partition("@")
    return {"edit": "add", "after": _number(after), "type": "ApiKeyRevoked", "fields": {"credential": credential}}


def _moved(text: str) -> dict[str, Any]:
    position, _, after = text.partition("@")
    return {"edit": "move", "position": _number(position), "after": _number(after)}


def _permitted(text: str) -> dict[str, Any]:
    of, _, rest = text.partition("=")
    names, _, first = rest.partition("@")
    permissions = [each for each in names.split(",") if each]
    return {"edit": "permit", "of": of, "permissions": permissions, "from_position": _number(first or "1")}


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise Failed("a position is a number, like 12: see `muniment replay what-if --help`")
    return int(text)


def _read(file: Path | None) -> list[Any]:
    if file is None:
        return []
    try:
        found = orjson.loads(file.read_bytes())
    except (OSError, ValueError) as problem:
        raise Failed(f"{file} can't be read as JSON: write a list of edits into it") from problem
    return found if isinstance(found, list) else [found]


def print_flips(found: dict[str, Any]) -> None:
    first = "nothing would be other" if found["first"] is None else f"from position {found['first']} on"
    out.print(Text(f"{found['decisions']} decisions taken again, {found['flipped']} flip: {first}", style="bold"))
    flips = [{**each, "by": each["credential"] or each["actor"]["id"]} for each in found["flips"]]
    if flips:
        answer_rows(flips, ("position", "type", "by", "was", "would", "because"))
    for each in found["credentials"]:
        was, would = _opens(each["was"]), _opens(each["would"])
        out.print(Text(f"{each['credential']} opened {was}, and would open {would} (from {each['first']} on)"))
    for each in found["access"]:
        lost, gained = ", ".join(each["lost"]) or "nothing", ", ".join(each["gained"]) or "nothing"
        out.print(Text(f"{each['subject']} would lose {lost} and gain {gained} (from {each['first']} on)"))
    if found["undecidable"]:
        out.print(f"{found['undecidable']} decisions can't be taken again from what was recorded")
    if not found["complete"]:
        out.print("There is more than is listed")


def _opens(opens: dict[str, Any]) -> str:
    if opens["state"] != "open":
        return f"nothing ({opens['state']})"
    return ", ".join(opens["permissions"]) or "nothing"
