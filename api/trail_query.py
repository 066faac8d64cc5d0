"""SQL for auditors: one SELECT over a tenant's events and views, answered by a process that can touch nothing else."""

import asyncio
from typing import Annotated, Any, Final, Literal

from fastapi import Query, Response
from prometheus_client import CollectorRegistry, Histogram
from pydantic import Field

from api.acting import Reading
from api.audit import MayReadOwnTrail, MayReadTrail, may_unseal
from api.bodies import Answer, Body, router, time_text
from api.http import problems
from api.http.problems import Problem
from api.trail_access import Told
from api.trail_filters import bound

MOST_ROWS: Final = 100_000
Format = Literal["json", "csv", "ndjson", "parquet", "arrow"]
_TYPES: Final[dict[str, Format]] = {
    "text/csv": "csv",
    "application/x-ndjson": "ndjson",
    "application/vnd.apache.parquet": "parquet",
    "application/vnd.apache.arrow.stream": "arrow",
}
_OTHERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The rows.", "content": {each: {} for each in _TYPES}}
}

routes = router("audit")


class SqlQuery(Body):
    """`from` and `to` bound the events that the query sees; views are as of the answer's moment."""

    sql: Annotated[str, Field(min_length=1, max_length=20_000)]
    start: Annotated[str | None, Field(alias="from", max_length=64)] = None
    end: Annotated[str | None, Field(alias="to", max_length=64)] = None
    limit: Annotated[int, Field(ge=1, le=MOST_ROWS)] = 1_000


class Column(Answer):
    name: str
    type: str


class Rows(Answer):
    """`cut`: there are more rows than were asked for, or than an answer can hold."""

    columns: list[Column]
    rows: list[list[Any]]
    cut: bool
    unsealed: int
    position: int
    as_of: str


class ViewColumns(Answer):
    """What a query can ask: the columns of each view."""

    views: dict[str, list[Column]]


FormatAsked = Annotated[Format | None, Query(description="Without it, as Accept says; JSON at last.")]


@routes.post("/tenants/{tenant}/trail/query", response_model=Rows, responses=_OTHERS)
async def query_trail(body: SqlQuery, reading: MayReadTrail, format: FormatAsked = None) -> Any:
    """One SELECT in DuckDB's dialect over `events`, `users`, `groups` … of a tenant; personal values are handles.

    `unseal(column)` as an output column opens them, for callers who have people:unseal.
    """
    return await answered(reading, body, format)


@routes.post("/trail/query", response_model=Rows, responses=_OTHERS)
async def query_own_trail(body: SqlQuery, reading: MayReadOwnTrail, format: FormatAsked = None) -> Any:
    """The same of the key's own tenant, or of the one that an operator names."""
    return await answered(reading, body, format)


@routes.get("/tenants/{tenant}/trail/query/views")
async def list_query_views(reading: MayReadTrail) -> ViewColumns:
    """The views that a query sees, and their columns."""
    schemas = reading.node.auditor.schemas
    return ViewColumns(
        views={
            name: [Column(name=field.name, type=str(field.type)) for field in schema]
            for name, schema in schemas.items()
        }
    )


async def answered(reading: Reading, body: SqlQuery, format: Format | None) -> Any:
    """A Response, or Rows. Raises Problem 422, 429 and 503."""
    node, auditor = reading.node, reading.node.auditor
    after, until = bound(reading, body.start, first=True), bound(reading, body.end, first=False)
    at = type(reading.at)(until, reading.at.instant)
    if until != reading.at.position and until:
        at = type(reading.at)(until, node.history.instant_of(reading.tenant, until))
    _, named = auditor.wants(body.sql)
    if named:
        await node.views.reach(reading.tenant, at.position)
    unseal = reading.open if may_unseal(reading) else None
    with node.query_seconds.time():
        try:
            found = await auditor.query(reading.tenant, at, after, body.sql, body.limit, lambda: node.views, unseal)
        except auditor.failures as problem:
            if isinstance(problem, auditor.away):
                raise problems.unavailable("the archive can't be read just now: ask again in a minute", 60) from None
            raise _problem_of(problem) from None
    question = " ".join(found.asked) or "no view"
    if body.start or body.end:
        question += f" from={after + 1} to={until}"
    told = Told(found.table.num_rows, after + 1 if found.table.num_rows else 0, until, found.unsealed)
    reading.still_permitted()
    await node.accesses.note(reading, "sql", question, told, singly=True)
    chosen = format or _accepted(reading.header("accept"))
    if chosen != "json":
        content = await asyncio.to_thread(node.tables.AS_BYTES[chosen], found.table)
        headers = {"Muniment-Cut": "true" if found.cut else "false"}
        if reading.at.position:
            headers["Muniment-Position"] = f"{reading.tenant}:{reading.at.position}"
        return Response(content, media_type=node.tables.FORMATS[chosen], headers=headers)
    names = node.tables.names_of(found.table.schema)
    return Rows(
        columns=[
            Column(name=name, type=str(field.type)) for name, field in zip(names, found.table.schema, strict=True)
        ],
        rows=await asyncio.to_thread(node.tables.rows_of, found.table),
        cut=found.cut,
        unsealed=found.unsealed,
        position=at.position,
        as_of=time_text(at.instant),
    )


def _accepted(header: str | None) -> Format:
    """The first format of ours that the header names; JSON if there is none."""
    for each in (header or "").split(","):
        if chosen := _TYPES.get(each.partition(";")[0].strip().lower()):
            return chosen
    return "json"


def _problem_of(problem: Any) -> Problem:
    match getattr(problem, "kind", None):
        case "refused":
            return problems.unprocessable(str(problem) or "the query reaches for what is not there")
        case "sql":
            return Problem(
                problems.UNPROCESSABLE,
                "the database can't understand the query: `sql_error` says where",
                sql_error=str(problem),
            )
        case "data":
            return problems.unprocessable(
                "the query fails on the data: a cast, a division or a function got a value that it can't take"
            )
        case "memory":
            return problems.unprocessable("the query needs more memory than it may have: narrow it, or group earlier")
        case "time":
            return problems.unprocessable("the query takes longer than it may: narrow it, or ask for less at once")
        case "broken":
            return problems.unprocessable("the answer can't be given in this form: cast unusual types to text")
    if hasattr(problem, "retry_after"):
        return problems.too_many_requests(
            problem.retry_after, "a query of this tenant, or too many of others, are being answered; ask again"
        )
    return problems.unprocessable(str(problem))


def measure(registry: CollectorRegistry) -> Histogram:
    """How long queries take, refused ones included."""
    return Histogram(
        "muniment_trail_query_seconds",
        "How long SQL queries of the trail take.",
        buckets=(0.25, 0.5, 1, 2, 5, 10, 20),
        registry=registry,
    )
