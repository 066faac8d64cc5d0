"""Reading the trail is itself recorded, and an export of it is a job that the ledger knows of."""

from typing import Final, assert_never

from domain.boundary import Boundary, Tally, about, tagged
from domain.command import Command, Decider, Known, Missing, Refused, Taken
from domain.event import Code, Event, Instant, Recorded
from domain.ids import ExportId, TenantId

MOST_EXPORTS: Final = 20
"""Of one tenant, whose files are kept or being written at one time."""
GONE: Final = "the export does not exist, or its files are gone"


class TrailAccessed(Event):
    """Somebody read the trail. Recorded before the answer is given.

    What the same caller reads by the same question until `until` is covered by this event; how much that came to
    follows in TrailAccessesSummarised. `question` says what was asked for and names nobody: ids and codes stand in it,
    texts and addresses do not. `count` events were told, between `first` and `last` (0: none), with `unsealed` values
    of persons opened.
    """

    names = (("accessed", "kind"),)
    kind: Code
    """search, events, stream, counts, facets, sql or download; `many`: everything, of a caller who asks a lot."""
    question: Code
    count: int
    first: int
    last: int
    unsealed: int
    until: Instant


class TrailAccessesSummarised(Event):
    """What a TrailAccessed came to in the end: so many answers more than its first, with all they told together."""

    names = (("accessed", "kind"),)
    kind: Code
    question: Code
    accesses: int
    count: int
    first: int
    last: int
    unsealed: int
    since: Instant
    until: Instant


ACCESSES: Final = (TrailAccessed, TrailAccessesSummarised)
"""Reading only these is no access worth recording: else whoever follows the trail would make it grow for ever."""


class ExportRequested(Event):
    """The events after `after` up to `until` that carry every one of the tags, of any of the types (none: all)."""

    tenant: TenantId
    export: ExportId
    format: Code
    after: int
    until: int
    types: tuple[Code, ...]
    matching: tuple[Code, ...]
    """The tags."""
    keep: int
    """For how many seconds the files are kept once they are written."""


class ExportFinished(Event):
    """The files can be downloaded. `digest` is the SHA-256 of the file, `manifest` that of its manifest.

    The tenant's tree had `tree_size` leaves with `root` when they were written.
    """

    tenant: TenantId
    export: ExportId
    digest: bytes
    manifest: bytes
    size: int
    count: int
    first: int
    last: int
    tree_size: int
    root: bytes
    expires_at: Instant


class ExportFailed(Event):
    tenant: TenantId
    export: ExportId
    reason: Code


class ExportExpired(Event):
    """Its files are gone: their time was over, or somebody deleted them."""

    tenant: TenantId
    export: ExportId
    reason: Code


EXPORT_LIFE: Final = (ExportRequested, ExportFinished, ExportFailed, ExportExpired)


class RecordAccess(Command):
    """Also in a tenant that is suspended or deleted: its history can still be read."""

    permission = "audit:read"
    while_suspended = True
    while_deleted = True
    kind: Code
    question: Code
    count: int
    first: int
    last: int
    unsealed: int
    until: Instant

    def boundary(self) -> Boundary:
        return tagged(f"accessed:{self.kind}", *ACCESSES)


class SummariseAccesses(Command):
    permission = "audit:read"
    while_suspended = True
    while_deleted = True
    kind: Code
    question: Code
    accesses: int
    count: int
    first: int
    last: int
    unsealed: int
    since: Instant
    until: Instant

    def boundary(self) -> Boundary:
        return tagged(f"accessed:{self.kind}", *ACCESSES)


class RequestExport(Command):
    permission = "audit:read"
    while_suspended = True
    while_deleted = True
    tenant: TenantId
    export: ExportId
    format: Code
    after: int
    until: int
    types: tuple[Code, ...]
    matching: tuple[Code, ...]
    keep: int

    def boundary(self) -> Boundary:
        return about(self.export, *EXPORT_LIFE) | Boundary(tallies=(every_export_of(self.tenant),))


class FinishExport(Command):
    permission = "audit:read"
    while_suspended = True
    while_deleted = True
    tenant: TenantId
    export: ExportId
    digest: bytes
    manifest: bytes
    size: int
    count: int
    first: int
    last: int
    tree_size: int
    root: bytes

    def boundary(self) -> Boundary:
        return about(self.export, *EXPORT_LIFE)


class FailExport(Command):
    permission = "audit:read"
    while_suspended = True
    while_deleted = True
    tenant: TenantId
    export: ExportId
    reason: Code

    def boundary(self) -> Boundary:
        return about(self.export, *EXPORT_LIFE)


class ExpireExport(Command):
    permission = "audit:read"
    while_suspended = True
    while_deleted = True
    tenant: TenantId
    export: ExportId
    reason: Code

    def boundary(self) -> Boundary:
        return about(self.export, *EXPORT_LIFE)


AuditCommand = RecordAccess | SummariseAccesses | RequestExport | FinishExport | FailExport | ExpireExport


def _note_export(exports: set[ExportId], recorded: Recorded) -> None:
    match recorded.event:
        case ExportRequested(export=export):
            exports.add(export)
        case ExportExpired(export=export) | ExportFailed(export=export):
            exports.discard(export)


def every_export_of(tenant: TenantId) -> Tally:
    """The exports of a tenant whose files are kept or being written."""
    return Tally("exports", f"tenant:{tenant}", (ExportRequested, ExportFailed, ExportExpired), set, _note_export)


class KnownExport(Known):
    """How far an export is: none, running, done, failed or gone."""

    def __init__(self, now: Instant) -> None:
        super().__init__(now)
        self.state = "none"
        self.keep = 0

    def evolve(self, recorded: Recorded) -> None:
        match recorded.event:
            case ExportRequested(keep=keep):
                self.state, self.keep = "running", keep
            case ExportFinished():
                self.state = "done"
            case ExportFailed():
                self.state = "failed"
            case ExportExpired():
                self.state = "gone"


def decide(command: AuditCommand, known: KnownExport) -> list[Event]:
    match command:
        case RecordAccess(kind, question, count, first, last, unsealed, until):
            return [TrailAccessed(kind, question, count, first, last, unsealed, until)]
        case SummariseAccesses(kind, question, accesses, count, first, last, unsealed, since, until):
            return [TrailAccessesSummarised(kind, question, accesses, count, first, last, unsealed, since, until)]
        case RequestExport(tenant, export, format, after, until, types, matching, keep):
            if known.state != "none":
                raise Taken("the export exists already")
            if len(known.tallies["exports"]) >= MOST_EXPORTS:
                raise Refused(f"a tenant can have {MOST_EXPORTS} exports at one time; delete one first")
            return [ExportRequested(tenant, export, format, after, until, types, matching, keep)]
        case FinishExport(tenant, export, digest, manifest, size, count, first, last, tree_size, root):
            if known.state != "running":
                raise Missing(GONE)
            expires_at = Instant(known.now + known.keep * 1_000_000)
            return [
                ExportFinished(tenant, export, digest, manifest, size, count, first, last, tree_size, root, expires_at)
            ]
        case FailExport(tenant, export, reason):
            if known.state != "running":
                raise Missing(GONE)
            return [ExportFailed(tenant, export, reason)]
        case ExpireExport(tenant, export, reason):
            if known.state in ("none", "gone"):
                raise Missing(GONE)
            return [ExportExpired(tenant, export, reason)]
        case _:
            assert_never(command)


decider = Decider(
    commands=(RecordAccess, SummariseAccesses, RequestExport, FinishExport, FailExport, ExpireExport),
    begin=KnownExport,
    decide=decide,
)
