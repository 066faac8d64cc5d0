"""Going back over REST: what is different between two moments of a tenant, who made it so, and under what authority."""

from functools import cache
from typing import Annotated, Any, get_type_hints

import msgspec
from fastapi import Query

from api.acting import Reading
from api.audit import Allowed, Who
from api.bodies import Answer, Cursor, Limit, router, time_text, time_text_if
from api.http import problems
from api.http.moments import parse_moment
from api.permitted import may_read, moment_of
from domain.event import Entry, Instant, Sealed, types_within
from domain.view import Moment, Versioned
from projections.every import EVERY_VIEW
from replay.diff import Change, Place, TooMuchBetween, diff

MayReplay = Annotated[Reading, may_read("replay:read")]

routes = router("replay")


class Row(Answer):
    """A row of a view, since the position that made it so; values whose keys are destroyed are null, and named."""

    since: int
    values: dict[str, Any]
    erased: list[str]


class Cause(Answer):
    """An event that changed the row: who, for whom, under what authority."""

    position: int
    recorded_at: str
    type: str
    actor: Who
    on_behalf_of: list[str]
    credential: str | None
    authority: Allowed
    command: str
    correlation: str


class Difference(Answer):
    """`before` is null for what came, `after` for what went; `fields` names what differs."""

    view: str
    key: str
    before: Row | None
    after: Row | None
    fields: list[str]
    causes: list[Cause]
    steps: int


class At(Answer):
    position: int
    time: str


class Differences(Answer):
    """By view and key. `start` and `end` are the moments compared."""

    items: list[Difference]
    next: str | None = None
    start: At
    end: At


MomentInQuery = Annotated[str, Query(max_length=64, description="A position (0: before everything), or a time.")]


@routes.get("/tenants/{tenant}/diff")
async def compare_moments(
    reading: MayReplay,
    start: Annotated[MomentInQuery, Query(alias="from")],
    end: Annotated[MomentInQuery | None, Query(alias="to", max_length=64, description="Absent: now.")] = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> Differences:
    """What changed between two moments: each row before and after, and the events that made the difference."""
    first, last = _moment(reading, start), reading.at if end is None else _moment(reading, end)
    if first.position > last.position:
        raise problems.unprocessable("`from` is later than `to`: exchange them")
    after = None
    if cursor is not None:
        place = reading.node.cursors.decode(cursor, dict[str, str], of=_listing(reading, first))
        after = Place(place["view"], place["key"])
        last = Moment(int(place["to"]), Instant(int(place["at"])))
    try:
        found = await diff(
            reading.node.history, reading.node.views, EVERY_VIEW, reading.tenant, first, last, after=after, limit=limit
        )
    except TooMuchBetween as problem:
        raise problems.unprocessable(str(problem)) from problem
    more = None
    if found.next is not None:
        place = {"view": found.next.view, "key": found.next.key, "to": str(last.position), "at": str(last.instant)}
        more = reading.node.cursors.encode(place, of=_listing(reading, first))
    return Differences(
        items=[difference_body(reading, each) for each in found.items], next=more, start=_at(first), end=_at(last)
    )


def _moment(reading: Reading, text: str) -> Moment:
    if text == "0":
        return Moment(0, reading.at.instant)
    return moment_of(reading.node, reading.tenant, parse_moment(text), reading.at.position)


def _listing(reading: Reading, first: Moment) -> str:
    return f"changes of {reading.tenant} from {first.position}"


def _at(moment: Moment) -> At:
    return At(position=moment.position, time=time_text(moment.instant))


def difference_body(reading: Reading, change: Change) -> Difference:
    before, after = change.before, change.after
    return Difference(
        view=change.view,
        key=change.key,
        before=row_body(reading, before),
        after=row_body(reading, after),
        fields=_differing(before, after),
        causes=[cause_body(each) for each in change.causes],
        steps=change.steps,
    )


def row_body(reading: Reading, found: Versioned[Any] | None) -> Row | None:
    if found is None:
        return None
    erased: list[str] = []
    row, times = found.row, _times(found.row.__class__)
    values = {
        name: time_text_if(getattr(row, name)) if name in times else _plain(reading, name, getattr(row, name), erased)
        for name in row.__struct_fields__
    }
    return Row(since=found.since, values=values, erased=erased)


def _plain(reading: Reading, name: str, value: Any, erased: list[str]) -> Any:
    match value:
        case Sealed():
            opened = reading.open(name, value)
            if opened is None:
                erased.append(name)
            return opened
        case bytes():
            return value.hex()
        case tuple():
            return list(value)
    return value


@cache
def _times(row: type[msgspec.Struct]) -> frozenset[str]:
    """The fields that hold an instant."""
    return frozenset(name for name, hint in get_type_hints(row).items() if Instant in types_within(hint))


def _differing(before: Versioned[Any] | None, after: Versioned[Any] | None) -> list[str]:
    if before is None or after is None:
        return []
    return [
        name
        for name in before.row.__struct_fields__
        if name != "changed_at" and not _alike(getattr(before.row, name), getattr(after.row, name))
    ]


def _alike(one: Any, other: Any) -> bool:
    return one.same_as(other) if isinstance(one, Sealed) else one == other


def cause_body(entry: Entry) -> Cause:
    meta = entry.meta
    return Cause(
        position=entry.position,
        recorded_at=time_text(entry.instant),
        type=entry.event.type_name,
        actor=Who(kind=meta.actor_kind, id=meta.actor_id),
        on_behalf_of=list(meta.on_behalf_of),
        credential=meta.credential_id,
        authority=Allowed(
            permission=meta.authority_permission,
            decision=meta.authority_decision,
            policies=list(meta.authority_policies),
            position=meta.authority_position,
        ),
        command=meta.command_id,
        correlation=meta.correlation_id,
    )
