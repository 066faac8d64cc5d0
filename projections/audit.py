"""Exports of the trail, as they are at a moment."""

from collections.abc import Sequence

import msgspec

from domain import audit
from domain.event import Event, Instant, Recorded
from domain.ids import ExportId
from domain.view import Close, View


class ExportRow(msgspec.Struct, frozen=True):
    """`state` is running, done, failed or expired; what an export came to is known once it is done."""

    export: ExportId
    format: str
    after: int
    until: int
    types: tuple[str, ...]
    matching: tuple[str, ...]
    keep: int
    state: str
    requested_at: Instant
    finished_at: Instant | None = None
    expires_at: Instant | None = None
    digest: bytes | None = None
    manifest: bytes | None = None
    size: int | None = None
    count: int | None = None
    first: int | None = None
    last: int | None = None
    tree_size: int | None = None
    root: bytes | None = None
    reason: str | None = None


class Exports(View[ExportRow]):
    name = "exports"
    row = ExportRow
    follows = audit.EXPORT_LIFE

    def concerns(self, event: Event) -> Sequence[str | Close]:
        return (event.export,)  # type: ignore[attr-defined]

    def evolve(self, row: ExportRow | None, recorded: Recorded) -> ExportRow | None:
        at = recorded.instant
        match recorded.event:
            case audit.ExportRequested(_, export, format, after, until, types, matching, keep):
                return ExportRow(export, format, after, until, types, matching, keep, "running", at)
            case audit.ExportFinished() as event if row:
                return msgspec.structs.replace(
                    row,
                    state="done",
                    finished_at=at,
                    expires_at=event.expires_at,
                    digest=event.digest,
                    manifest=event.manifest,
                    size=event.size,
                    count=event.count,
                    first=event.first,
                    last=event.last,
                    tree_size=event.tree_size,
                    root=event.root,
                )
            case audit.ExportFailed(_, _, reason) if row:
                return msgspec.structs.replace(row, state="failed", finished_at=at, reason=reason)
            case audit.ExportExpired(_, _, reason) if row:
                return msgspec.structs.replace(row, state="expired", expires_at=at, reason=reason)
        return row


EXPORTS = Exports()
