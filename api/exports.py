"""Exports of the trail over REST: asked for, followed, downloaded and deleted."""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from fastapi import Path as InPath
from fastapi import Response
from fastapi.responses import FileResponse
from pydantic import Field

from api.acting import Acting, Reading
from api.bodies import (
    Answer,
    Body,
    Changed,
    Cursor,
    Limit,
    changed,
    page_of,
    place_of,
    router,
    time_text,
    time_text_if,
)
from api.http import problems
from api.http.moments import AtPosition, parse_moment
from api.http.paging import Page
from api.permitted import may, may_read
from api.trail_access import Told
from api.trail_filters import tags_of, types_of
from domain import audit
from domain.event import Code, Instant
from domain.ids import ExportId
from domain.view import Versioned
from projections.audit import EXPORTS, ExportRow

MayExport = Annotated[Acting, may("audit:read")]
MayReadExports = Annotated[Reading, may_read("audit:read")]
MayDownload = Annotated[Reading, may_read("audit:read", stored=False)]
ExportInPath = Annotated[str, InPath(pattern=r"^exp_[0-9a-f]{32}$")]
Format = Literal["csv", "ndjson", "parquet", "ocsf"]
AnyId = Annotated[str, Field(pattern=r"^[a-z]{3}_[a-z0-9_]{1,60}$")]
EventType = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9:_.-]{0,120}$")]
Tag = Annotated[str, Field(pattern=r"^[a-z_]{1,30}:[a-z0-9_./-]{1,200}$")]
Moment = Annotated[str, Field(max_length=64)]
_MEDIA: Final = ("text/csv", "application/x-ndjson", "application/vnd.apache.parquet")
_GONE: Final = problems.responses(problems.GONE)
_FILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The file.", "content": {each: {} for each in _MEDIA}},
    **_GONE,
}
_JSON: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The file.", "content": {"application/json": {}}},
    **_GONE,
}

routes = router("audit")


class NewExport(Body):
    """Events that carry everything asked for, of any of the types, up to now or to `to`. Sealed values stay sealed."""

    format: Format
    actor: AnyId | None = None
    subject: AnyId | None = None
    credential: AnyId | None = None
    tag: Tag | None = None
    correlation: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")] = None
    types: Annotated[list[EventType], Field(max_length=50)] = Field(default_factory=list)
    start: Annotated[Moment | None, Field(alias="from")] = None
    end: Annotated[Moment | None, Field(alias="to")] = None
    keep_seconds: Annotated[int, Field(ge=60, le=30 * 86_400)] = 86_400
    """For how long the files can be downloaded once they are written."""


class Export(Answer):
    """`done` of `total` positions were looked through; `total` of an export that is done are those it looked through.

    `sha256` is the file's, `manifest_sha256` the manifest's, which names the tree (RFC 6962) of the history.
    """

    id: str
    format: str
    state: Literal["running", "done", "failed", "expired"]
    requested_at: str
    finished_at: str | None
    expires_at: str | None
    done: int | None
    total: int
    count: int | None
    first: int | None
    last: int | None
    size: int | None
    sha256: str | None
    manifest_sha256: str | None
    tree_size: int | None
    root: str | None
    reason: str | None


class Asked(Answer):
    id: str
    state: Literal["running"] = "running"
    position: int


def _body(reading: Acting, found: Versioned[ExportRow]) -> Export:
    row = found.row
    total = max(0, row.until - row.after)
    at = reading.node.exporting.position(row.export)
    done = total if row.state == "done" else None if at is None else at - row.after
    return Export(
        id=row.export,
        format=row.format,
        state=row.state,
        requested_at=time_text(row.requested_at),
        finished_at=time_text_if(row.finished_at),
        expires_at=time_text_if(row.expires_at),
        done=done,
        total=total,
        count=row.count,
        first=row.first,
        last=row.last,
        size=row.size,
        sha256=row.digest.hex() if row.digest else None,
        manifest_sha256=row.manifest.hex() if row.manifest else None,
        tree_size=row.tree_size,
        root=row.root.hex() if row.root else None,
        reason=row.reason,
    )


def _position(caller: Acting, text: str | None, head: int, *, first: bool) -> int:
    """As `bound` of a search, for one who acts."""
    if text is None:
        return 0 if first else head
    moment = parse_moment(text)
    if isinstance(moment, AtPosition):
        return min(moment.position - first, head)
    return min(caller.node.history.position_at(caller.tenant, Instant(moment.instant - first)), head)


@routes.post("/tenants/{tenant}/exports", status_code=202)
async def request_export(body: NewExport, caller: MayExport) -> Asked:
    """Begin to write the events of a search to a file; what happens later is not in it."""
    tags = tags_of(body.subject, body.tag, body.actor, body.correlation)
    if body.credential:
        tags = (*tags, f"used:{body.credential}")
    head = caller.node.feed.head(caller.tenant)
    after, until = (
        _position(caller, body.start, head, first=True),
        _position(caller, body.end, head, first=False),
    )
    export = ExportId(caller.new_id("exp"))
    outcome = await caller.execute(
        audit.RequestExport(
            caller.tenant,
            export,
            Code(body.format),
            min(after, until),
            until,
            tuple(Code(each) for each in types_of(body.types)),
            tuple(Code(each) for each in tags),
            body.keep_seconds,
        )
    )
    asked = next((each for each in outcome.events if isinstance(each, audit.ExportRequested)), None)
    return Asked(id=asked.export if asked else export, position=outcome.position)


@routes.get("/tenants/{tenant}/exports")
async def list_exports(reading: MayReadExports, limit: Limit = 100, cursor: Cursor = None) -> Page[Export]:
    after = place_of(reading, cursor, "exports")
    found = await reading.node.views.page(EXPORTS, reading.tenant, reading.at, after=after, limit=limit + 1)
    return page_of(reading, found, limit, "exports", lambda each: _body(reading, each))


@routes.get("/tenants/{tenant}/exports/{export}")
async def read_export(export: ExportInPath, reading: MayDownload) -> Export:
    """How far it is, and what it came to."""
    return _body(reading, reading.current(EXPORTS, f"export:{export}", export, "export"))


@routes.delete("/tenants/{tenant}/exports/{export}")
async def delete_export(export: ExportInPath, caller: MayExport) -> Changed:
    """Its files are gone when this answers, or it is not written to the end."""
    outcome = await caller.execute(audit.ExpireExport(caller.tenant, ExportId(export), Code("deleted")))
    await caller.node.exporting.forget(export)
    return changed(outcome)


@routes.get("/tenants/{tenant}/exports/{export}/file", response_class=Response, responses=_FILE)
async def download_export(export: ExportInPath, reading: MayDownload) -> Response:
    """The events. Every download is recorded."""
    row = _done(reading, export)
    name, media = reading.node.exporting.files[row.format]
    path = _file(reading, export, name)
    count, first, last = row.count or 0, row.first or 0, row.last or 0
    await reading.node.accesses.note(reading, "download", f"export={export}", Told(count, first, last), singly=True)
    return FileResponse(path, media_type=media, filename=f"{export}.{name}", headers=_headers(row.digest))


@routes.get("/tenants/{tenant}/exports/{export}/manifest", response_class=Response, responses=_JSON)
async def download_manifest(export: ExportInPath, reading: MayDownload) -> Response:
    """What the file is: its SHA-256, the positions in it, and the tree of the history it is from."""
    row = _done(reading, export)
    path = _file(reading, export, "manifest.json")
    return FileResponse(
        path, media_type="application/json", filename=f"{export}.manifest.json", headers=_headers(row.manifest)
    )


@routes.get("/tenants/{tenant}/exports/{export}/proofs", response_class=Response, responses=_JSON)
async def download_proofs(export: ExportInPath, reading: MayDownload) -> Response:
    """A bundle that proves every event of the file, for `muniment verify --bundle`.

    It was written beside the file if a checkpoint covered the events by then; else it is made now.
    """
    row = _done(reading, export)
    exporting, name = reading.node.exporting, f"{export}.proofs.muniment.json"
    path = exporting.file_of(export, "proofs.muniment.json")
    told = Told(row.count or 0, row.first or 0, row.last or 0)
    await reading.node.accesses.note(reading, "download", f"export={export} proofs", told, singly=True)
    if path is not None:
        return FileResponse(path, media_type="application/json", filename=name)
    proofs = await exporting.proofs(reading.tenant, row)
    if proofs is None:
        raise problems.conflict(
            "no checkpoint covers these events yet, or they are more than one bundle proves: ask again in a minute, or "
            "for an export of a shorter time"
        )
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(proofs, media_type="application/json", headers=disposition)


def _done(reading: Reading, export: str) -> ExportRow:
    """Raises Problem 404, 409 or 410."""
    row = reading.current(EXPORTS, f"export:{export}", export, "export").row
    if row.state == "expired":
        raise problems.gone("the files of this export are gone: ask for another")
    if row.state == "failed":
        raise problems.conflict("the export failed: `reason` of it says why; ask for another")
    if row.state != "done":
        raise problems.conflict("the export is being written: ask for it until its state is done")
    return row


def _file(reading: Reading, export: str, name: str) -> Path:
    exporting = reading.node.exporting
    found: Path | None = exporting.file_of(export, name)
    if found is not None:
        return found
    if exporting.is_here(export):
        raise problems.not_found("this export has no such file")
    raise problems.unavailable("this node writes the files of this export again: ask for them in a moment", 5)


def _headers(digest: bytes | None) -> dict[str, str]:
    return {"ETag": f'"{digest.hex()}"'} if digest else {}
