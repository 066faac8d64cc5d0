"""The comparison of two moments on a page: what came, went and changed, and the events that made it so."""

from typing import Annotated, Any, Final, NamedTuple

from fastapi import Request, Response

from api import replay
from api.acting import Reading
from api.bodies import time_text
from api.http.problems import Problem
from api.pages.asking import fields_of, moment_text
from api.pages.naming import names_of
from api.pages.rendering import around, show
from api.pages.route import pages
from api.pages.words import leaves, parsed
from api.permitted import may_read

MayReplay = Annotated[Reading, may_read("replay:read")]
IN_PAGE: Final = 50
HOUR: Final = 3_600_000_000
_HIDDEN: Final = ("changed_at", "user_name_handle", "secret_hash", "former_hash")
"""What says nothing to people."""

routes = pages()


class Value(NamedTuple):
    """A field of a row before and after."""

    name: str
    before: Any
    after: Any


class Compared(NamedTuple):
    """A row that came, went or changed. `what` is new, gone or changed."""

    change: Any
    what: str
    values: list[Value]


def compared(change: Any) -> Compared:
    """The fields that matter: of what changed, those that differ; of what came or went, those that say something."""
    before = change.before.values if change.before else {}
    after = change.after.values if change.after else {}
    what = "new" if change.before is None else "gone" if change.after is None else "changed"
    names = change.fields if what == "changed" else [each for each in (after or before) if each not in _HIDDEN]
    values = [value for name in names for value in _values(name, before.get(name), after.get(name))]
    kept = [each for each in values if each.before != each.after]
    return Compared(change, what, kept or values[:1])


def _values(name: str, before: Any, after: Any) -> list[Value]:
    """A field; one that holds a JSON object, by its parts."""
    parts = parsed(before), parsed(after)
    if not any(isinstance(each, dict) for each in parts):
        return [Value(name, before, after)]
    first, last = (dict(leaves(each)) for each in parts)
    return [Value(f"{name} {path}", first.get(path), last.get(path)) for path in {**first, **last}]


@routes.get("/tenants/{tenant}/diff")
async def show_diff(request: Request, reading: MayReplay) -> Response:
    fields = fields_of(request)
    found, wrong = None, None
    if start := fields.get("from"):
        end = fields.get("to")
        try:
            found = await replay.compare_moments(
                reading,
                start="0" if start == "0" else moment_text(start),
                end=moment_text(end, last=True) if end else None,
                limit=IN_PAGE,
                cursor=fields.get("cursor"),
            )
        except Problem as problem:
            if problem.status_code not in (400, 404, 422):
                raise
            wrong = problem
    items = [compared(each) for each in found.items] if found else []
    head = reading.at.position
    return show(
        request,
        "diff.html",
        around=around(reading.node, reading.credential, reading.tenant),
        status=422 if wrong else 200,
        fields=fields,
        found=found,
        items=items,
        wrong=wrong,
        head=head,
        spans=_spans(reading),
        names=await names_of(reading, ids_of_changes(items)),
    )


def ids_of_changes(items: list[Compared]) -> list[str]:
    """Every id that stands in changes."""
    ids: list[str] = []
    for each in items:
        ids += each.change.key.split("/")
        ids += [cause.actor.id for cause in each.change.causes]
        ids += [value for row in each.values for value in (row.before, row.after) if isinstance(value, str)]
    return [each for each in ids if each[3:4] == "_"]


def _spans(reading: Reading) -> list[tuple[str, str]]:
    """Comparisons with now that people ask for, as a name and `from`."""
    head, now = reading.at.position, reading.at.instant
    ago = [("the last hour", 1), ("the last day", 24), ("the last week", 7 * 24), ("the last 30 days", 30 * 24)]
    named = [("the last 10 events", str(max(head - 10, 0))), ("the last 100 events", str(max(head - 100, 0)))]
    return named + [(name, time_text(now - hours * HOUR)) for name, hours in ago]
