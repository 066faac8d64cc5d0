"""How long each tenant's history is kept, what was trimmed of it, and the legal holds in force at a moment."""

from collections.abc import Sequence

import msgspec

from domain import retention
from domain.event import Event, Instant, Recorded, Sealed
from domain.ids import HoldId, TenantId
from domain.view import Close, View


class RetentionRow(msgspec.Struct, frozen=True):
    """`days` is None for ever; `trimmed` is the last position that retention took, 0 if none."""

    tenant: TenantId
    days: int | None
    changed_at: Instant
    trimmed: int = 0
    trimmed_at: Instant | None = None
    trimmed_root: str | None = None
    """Of the tree over what was trimmed, in hexadecimal."""


class Retention(View[RetentionRow]):
    """Keyed by the tenant."""

    name = "retention"
    row = RetentionRow
    follows = (retention.RetentionChanged, retention.HistoryTrimmed)

    def concerns(self, event: Event) -> Sequence[str | Close]:
        return (event.tenant,)  # type: ignore[attr-defined]

    def evolve(self, row: RetentionRow | None, recorded: Recorded) -> RetentionRow | None:
        at = recorded.instant
        match recorded.event:
            case retention.RetentionChanged(tenant, days):
                row = row or RetentionRow(tenant, days, at)
                return msgspec.structs.replace(row, days=days, changed_at=at)
            case retention.HistoryTrimmed(tenant, last, _, root):
                row = row or RetentionRow(tenant, None, at)
                return msgspec.structs.replace(row, trimmed=last, trimmed_at=at, trimmed_root=root.hex())
        return row


class HoldRow(msgspec.Struct, frozen=True):
    hold: HoldId
    placed_at: Instant
    reason: Sealed | None = None


class LegalHolds(View[HoldRow]):
    """Those in force, keyed by their ids."""

    name = "legal_holds"
    row = HoldRow
    follows = (retention.LegalHoldPlaced, retention.LegalHoldLifted)

    def concerns(self, event: Event) -> Sequence[str | Close]:
        return (event.hold,)  # type: ignore[attr-defined]

    def evolve(self, row: HoldRow | None, recorded: Recorded) -> HoldRow | None:
        match recorded.event:
            case retention.LegalHoldPlaced(_, hold, reason):
                return HoldRow(hold, recorded.instant, reason)
        return None


RETENTION, LEGAL_HOLDS = Retention(), LegalHolds()
