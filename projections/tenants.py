"""Tenants as they are at a moment: each in its own history, their settings, and the deployment's list of names."""

from collections.abc import Sequence

import msgspec

from domain import tenants
from domain.event import Event, Instant, Recorded, Sealed
from domain.ids import Handle, TenantId
from domain.view import Close, View


class TenantRow(msgspec.Struct, frozen=True):
    """`life` is active, suspended or deleted."""

    tenant: TenantId
    name: Sealed
    life: str
    created_at: Instant
    changed_at: Instant
    region: str | None = None


class Tenants(View[TenantRow]):
    name = "tenants"
    row = TenantRow
    follows = (
        tenants.TenantCreated,
        tenants.TenantRenamed,
        tenants.TenantSuspended,
        tenants.TenantResumed,
        tenants.TenantDeleted,
    )

    def concerns(self, event: Event) -> Sequence[str | Close]:
        return (event.tenant,)  # type: ignore[attr-defined]

    def evolve(self, row: TenantRow | None, recorded: Recorded) -> TenantRow | None:
        at = recorded.instant
        match recorded.event:
            case tenants.TenantCreated(tenant, name, region):
                return TenantRow(tenant, name, "active", at, at, region)
            case tenants.TenantRenamed(_, name) if row:
                return msgspec.structs.replace(row, name=name, changed_at=at)
            case tenants.TenantSuspended() if row:
                return msgspec.structs.replace(row, life="suspended", changed_at=at)
            case tenants.TenantResumed() if row:
                return msgspec.structs.replace(row, life="active", changed_at=at)
            case tenants.TenantDeleted() if row:
                return msgspec.structs.replace(row, life="deleted", changed_at=at)
        return row


class SettingRow(msgspec.Struct, frozen=True):
    setting: str
    value: Sealed
    changed_at: Instant


class Settings(View[SettingRow]):
    name = "tenant_settings"
    row = SettingRow
    follows = (tenants.TenantSettingChanged,)

    def concerns(self, event: Event) -> Sequence[str | Close]:
        return (event.setting,)  # type: ignore[attr-defined]

    def evolve(self, row: SettingRow | None, recorded: Recorded) -> SettingRow | None:
        match recorded.event:
            case tenants.TenantSettingChanged(_, setting, value) if value:
                return SettingRow(setting, value, recorded.instant)
        return None


class NameRow(msgspec.Struct, frozen=True):
    """A tenant's name in the deployment's history; `deadline` while it is only reserved."""

    tenant: TenantId
    name: Sealed
    name_handle: Handle
    deadline: Instant | None = None


class Names(View[NameRow]):
    """Keyed by the handle of the name."""

    name = "tenant_names"
    row = NameRow
    follows = (tenants.TenantNameReserved, tenants.TenantNameConfirmed, tenants.TenantNameReleased)
    indexes = ("tenant",)

    def concerns(self, event: Event) -> Sequence[str | Close]:
        return (event.name_handle,)  # type: ignore[attr-defined]

    def evolve(self, row: NameRow | None, recorded: Recorded) -> NameRow | None:
        match recorded.event:
            case tenants.TenantNameReserved(tenant, name, handle, deadline):
                return NameRow(tenant, name, handle, deadline)
            case tenants.TenantNameConfirmed(tenant, name, handle):
                return NameRow(tenant, name, handle)
        return None


TENANTS, SETTINGS, NAMES = Tenants(), Settings(), Names()
