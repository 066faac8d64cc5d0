"""A person's export: everything that is recorded about one user, for the person or for whoever must answer them."""

import asyncio
from typing import Annotated, Any

import msgspec
from fastapi import Query

from api.acting import Reading
from api.audit import MayReadTrail, event_body
from api.bodies import Answer, Cursor, router, time_text, time_text_if
from api.groups import Membership
from api.http import problems
from api.users import MayReadUsers, User, UserInPath, user_body
from domain.event import Entry
from domain.ledger import Query as Asked
from domain.view import View
from projections.access import ASSIGNMENTS
from projections.agents import API_KEYS
from projections.directory import MEMBERS, USERS
from projections.flags import TARGETS

MOST_ENTRIES = 500
_MOST_ROWS = 500

routes = router("directory")


class HeldRole(Answer):
    role: str
    assigned_at: str
    expires_at: str | None


class HeldKey(Answer):
    id: str
    name: str | None
    permissions: list[str]
    issued_at: str
    expires_at: str | None
    revoked_at: str | None


class Told(Answer):
    """A flag's variant that is the person's own."""

    flag: str
    variant: str


class Line(Answer):
    """An event about the person (then `data` says what), or caused by them (then `request` says from where)."""

    position: int
    recorded_at: str
    type: str
    about: bool
    caused: bool
    actor_kind: str
    data: dict[str, Any] | None
    request: dict[str, Any] | None
    erased: list[str]


class Export(Answer):
    """`user` is null once the person is deleted; `history` goes on with `next` as `cursor`."""

    id: str
    user: User | None
    groups: list[Membership]
    roles: list[HeldRole]
    keys: list[HeldKey]
    flags: list[Told]
    history: list[Line]
    next: str | None
    position: int


@routes.get("/tenants/{tenant}/users/{user}/export")
async def export_person(
    user: UserInPath,
    reading: MayReadUsers,
    trail: MayReadTrail,
    limit: Annotated[int, Query(ge=1, le=MOST_ENTRIES, description="How much of the history at most.")] = MOST_ENTRIES,
    cursor: Cursor = None,
) -> Export:
    """Everything recorded about a person; of events about others that they caused, only that and when."""
    of = f"export of {user} of {reading.tenant}"
    after = 0 if cursor is None else reading.node.cursors.decode(cursor, dict[str, int], of=of)["after"]
    lines = await asyncio.to_thread(_lines, trail, user, after, limit + 1)
    found = await reading.get(USERS, user)
    if found is None and not lines and not after:
        raise problems.not_found("nothing is recorded about that user")
    groups = await _rows(reading, MEMBERS, "member", user)
    roles = await _rows(reading, ASSIGNMENTS, "subject", user)
    keys = await _rows(reading, API_KEYS, "holder", user)
    flags = await _rows(reading, TARGETS, "subject", user)
    more = None
    if len(lines) > limit:
        more = reading.node.cursors.encode({"after": lines[limit - 1].position}, of=of)
    return Export(
        id=user,
        user=user_body(reading, found) if found else None,
        groups=[
            Membership(group=each.row.group, member_since=time_text(each.row.since), since=each.since)
            for each in groups
        ],
        roles=[
            HeldRole(
                role=each.row.role,
                assigned_at=time_text(each.row.since),
                expires_at=time_text_if(each.row.expires_at),
            )
            for each in roles
        ],
        keys=[_key(reading, each.row) for each in keys],
        flags=[Told(flag=each.row.flag, variant=each.row.variant) for each in flags],
        history=lines[:limit],
        next=more,
        position=reading.at.position,
    )


async def _rows(reading: Reading, view: View[Any], column: str, user: str) -> list[Any]:
    found: list[Any] = []
    while True:
        after = found[-1].key if found else ""
        page = await reading.node.views.find(
            view, reading.tenant, reading.at, column, user, after=after, limit=_MOST_ROWS
        )
        found += page
        if len(page) < _MOST_ROWS:
            return found


def _key(reading: Reading, row: Any) -> HeldKey:
    return HeldKey(
        id=row.credential,
        name=reading.open("name", row.name),
        permissions=list(row.permissions),
        issued_at=time_text(row.issued_at),
        expires_at=time_text_if(row.expires_at),
        revoked_at=time_text_if(row.revoked_at),
    )


def _lines(reading: Reading, user: str, after: int, limit: int) -> list[Line]:
    """The events about the person and those they caused, in order, each once."""
    query = Asked(after=after, until=reading.at.position)
    about, caused = (
        {each.position: each for each in _tagged(reading, query, tag, limit)}
        for tag in (f"user:{user}", f"actor:{user}")
    )
    positions = sorted(about.keys() | caused.keys())[:limit]
    return [
        _line(reading, about.get(each) or caused[each], about=each in about, caused=each in caused)
        for each in positions
    ]


def _tagged(reading: Reading, query: Asked, tag: str, limit: int) -> list[Entry]:
    return list(reading.node.history.entries(reading.tenant, msgspec.structs.replace(query, tags=(tag,)), limit))


def _line(reading: Reading, entry: Entry, *, about: bool, caused: bool) -> Line:
    body = event_body(reading, entry)
    return Line(
        position=body.position,
        recorded_at=body.recorded_at,
        type=body.type,
        about=about,
        caused=caused,
        actor_kind=body.actor.kind,
        data=body.data if about else None,
        request=body.request if caused else None,
        erased=body.erased if about else [],
    )
