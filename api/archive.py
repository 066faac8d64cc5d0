"""The archive over REST: how far it is, whether it is the log, how long history is kept, and what must be kept."""

from typing import Annotated, Any

from fastapi import Path, Query, Response
from pydantic import Field

from api.acting import Acting, Reading
from api.archiving import Busy
from api.bodies import (
    Answer,
    Body,
    Changed,
    Cursor,
    Limit,
    LongText,
    changed,
    page_of,
    place_of,
    router,
    time_text,
    time_text_if,
)
from api.http import problems
from api.http.paging import Page
from api.permitted import may, may_read
from api.trimming import holds_of
from domain.ids import HoldId
from domain.retention import LONGEST, SHORTEST, ChangeRetention, LiftLegalHold, PlaceLegalHold
from domain.view import Versioned
from projections.retention import LEGAL_HOLDS, RETENTION, HoldRow

MayReadArchive = Annotated[Reading, may_read("audit:read")]
MayArchive = Annotated[Acting, may("node:manage")]
MayVerifyArchive = Annotated[Reading, may_read("replay:read", stored=False)]
MayManageRetention = Annotated[Acting, may("retention:manage")]
MayManageHolds = Annotated[Acting, may("holds:manage")]
HoldInPath = Annotated[str, Path(pattern=r"^hld_[0-9a-f]{32}$")]
After = Annotated[int, Query(ge=0, le=2**53, description="Verify the files that hold anything beyond this position.")]

routes = router("archive")


class Checked(Answer):
    """All up to `position` was found to be the log."""

    position: int
    at: str


class ArchiveProblem(Answer):
    """Which file of the archive is not what it must be, at which positions (null: as a whole), and how."""

    file: str
    first: int | None
    last: int | None
    what: str


class ArchiveStatus(Answer):
    """Events from `first` to `last` are archived; the ledger may be trimmed below `trimmable_below` (1: not at all).

    `root` is that of the tenant's tree at `last`. `problems` are those that this node found when it verified last.
    """

    head: int
    first: int
    last: int
    last_at: str | None
    behind: int
    files: int
    bytes: int
    root: str
    verified: Checked | None
    trimmed: int
    trimmable_below: int
    has_checkpoint: bool
    problems: list[ArchiveProblem]


class ArchiveVerified(Answer):
    """The files that were read hold all up to `last`; send it as `after` until `next` is null."""

    last: int
    next: int | None
    files: int
    events: int
    holds: bool
    problems: list[ArchiveProblem]


class RetentionBody(Body):
    days: Annotated[int, Field(ge=SHORTEST, le=LONGEST)]


class Retention(Answer):
    """`days` is null for ever. Events up to `trimmed` are not kept any more; `trimmed_root` is the tree over them."""

    days: int | None
    changed_at: str | None
    trimmed: int
    trimmed_at: str | None
    trimmed_root: str | None


class NewHold(Body):
    reason: LongText | None = None


class LegalHold(Answer):
    id: str
    placed_at: str
    reason: str | None
    since: int


def _problem(found: Any) -> ArchiveProblem:
    return ArchiveProblem(file=found.file, first=found.first, last=found.last, what=found.what)


async def _asked(acting: Acting, question: Any) -> Any:
    """What the archive answers. Raises Problem 409 where it can't, 429 while it is at work, 503 without storage."""
    try:
        return await question
    except Busy as busy:
        raise problems.too_many_requests(2, f"{busy}: ask again in a moment") from busy
    except acting.node.archiving.archive.failures as failure:
        raise problems.unavailable(str(failure), 30) from failure


async def _status(acting: Acting, status: Any) -> ArchiveStatus:
    node, tenant = acting.node, acting.tenant
    wrong = node.archiving.problems.get(tenant, ())
    held = bool(wrong) or bool(await node.archiving.on_thread(holds_of, node.history, tenant))
    head, checked = node.feed.head(tenant), status.checked
    return ArchiveStatus(
        head=head,
        first=status.first,
        last=status.last,
        last_at=time_text_if(status.last_at or None),
        behind=max(0, head - status.last),
        files=status.files,
        bytes=status.bytes,
        root=status.root,
        verified=Checked(position=checked.last, at=time_text(checked.at)) if checked else None,
        trimmed=status.removed,
        trimmable_below=status.trimmable_below(held=held),
        has_checkpoint=status.checkpoint is not None,
        problems=[_problem(each) for each in wrong],
    )


@routes.get("/tenants/{tenant}/archive")
async def read_archive(reading: MayReadArchive) -> ArchiveStatus:
    """How far the archive is now, whatever `as_of` says."""
    archiving = reading.node.archiving
    return await _status(reading, await _asked(reading, archiving.status(reading.tenant)))


@routes.post("/tenants/{tenant}/archive")
async def archive_now(caller: MayArchive) -> ArchiveStatus:
    """Archive everything up to the head now, and verify what is new; for operators."""
    return await _status(caller, await _asked(caller, caller.node.archiving.take_in(caller.tenant)))


@routes.post("/tenants/{tenant}/archive/verify")
async def verify_archive(reading: MayVerifyArchive, after: After = 0) -> ArchiveVerified:
    """Compare a stretch of the archive with the log, byte for byte, and with its tree; the next begins at `next`."""
    found = await _asked(reading, reading.node.archiving.verify(reading.tenant, after))
    return ArchiveVerified(
        last=found.last,
        next=None if found.whole else found.last,
        files=found.files,
        events=found.events,
        holds=not found.problems,
        problems=[_problem(each) for each in found.problems],
    )


@routes.post("/tenants/{tenant}/archive/trim")
async def trim_archive(caller: MayArchive) -> ArchiveStatus:
    """Remove now what is older than the tenant's retention, unless a legal hold keeps it; for operators."""
    archiving = caller.node.archiving
    await _asked(caller, archiving.trim(caller.tenant))
    return await _status(caller, await _asked(caller, archiving.status(caller.tenant)))


@routes.get("/tenants/{tenant}/retention")
async def read_retention(reading: MayReadArchive) -> Retention:
    """How long the tenant's history is kept."""
    found = await reading.get(RETENTION, reading.tenant)
    if found is None:
        return Retention(days=None, changed_at=None, trimmed=0, trimmed_at=None, trimmed_root=None)
    row = found.row
    return Retention(
        days=row.days,
        changed_at=time_text(row.changed_at),
        trimmed=row.trimmed,
        trimmed_at=time_text_if(row.trimmed_at),
        trimmed_root=row.trimmed_root,
    )


@routes.put("/tenants/{tenant}/retention")
async def change_retention(body: RetentionBody, caller: MayManageRetention) -> Changed:
    """Keep events for so many days; what is older leaves the archive within hours, unless a legal hold keeps it."""
    return changed(await caller.execute(ChangeRetention(caller.tenant, body.days)))


@routes.delete("/tenants/{tenant}/retention")
async def end_retention(caller: MayManageRetention) -> Changed:
    """Keep events for ever."""
    return changed(await caller.execute(ChangeRetention(caller.tenant, None)))


@routes.post("/tenants/{tenant}/legal_holds", status_code=201)
async def place_legal_hold(body: NewHold, caller: MayManageHolds, response: Response) -> LegalHold:
    """From now on nothing of the tenant's history is trimmed, until every hold is lifted."""
    hold = HoldId(caller.new_id("hld"))
    reason = caller.seal_if(caller.tenant, "reason", body.reason)
    outcome = await caller.execute(PlaceLegalHold(caller.tenant, hold, reason))
    row = caller.row_of(LEGAL_HOLDS, outcome)
    response.headers["Location"] = f"/v1/tenants/{caller.tenant}/legal_holds/{row.hold}"
    return _hold_body(caller, Versioned(row.hold, outcome.position, row))


@routes.get("/tenants/{tenant}/legal_holds")
async def list_legal_holds(reading: MayReadArchive, limit: Limit = 100, cursor: Cursor = None) -> Page[LegalHold]:
    """Those in force."""
    after = place_of(reading, cursor, "legal holds")
    found = await reading.node.views.page(LEGAL_HOLDS, reading.tenant, reading.at, after=after, limit=limit + 1)
    return page_of(reading, found, limit, "legal holds", lambda each: _hold_body(reading, each))


@routes.get("/tenants/{tenant}/legal_holds/{hold}")
async def read_legal_hold(hold: HoldInPath, reading: MayReadArchive) -> LegalHold:
    return _hold_body(reading, await reading.must_get(LEGAL_HOLDS, hold, "legal hold"))


@routes.delete("/tenants/{tenant}/legal_holds/{hold}")
async def lift_legal_hold(hold: HoldInPath, caller: MayManageHolds) -> Changed:
    """The last one lifted, what is older than the retention is trimmed again."""
    return changed(await caller.execute(LiftLegalHold(caller.tenant, HoldId(hold))))


def _hold_body(acting: Acting, found: Versioned[HoldRow]) -> LegalHold:
    row = found.row
    return LegalHold(
        id=row.hold, placed_at=time_text(row.placed_at), reason=acting.open("reason", row.reason), since=found.since
    )
