"""A tenant: the wall around everything a customer has."""

from typing import Final, assert_never

from domain.boundary import Boundary, about, tagged
from domain.command import Command, Decider, Known, Missing, Refused, Taken
from domain.event import Code, Event, Instant, Recorded, Sealed
from domain.ids import DEPLOYMENT, Handle, TenantId

NAME_TAKEN: Final = "another tenant has this name; choose another"


class TenantCreated(Event):
    tenant: TenantId
    name: Sealed
    region: Code | None = None
    """A label the customer chose; it moves nothing."""


class TenantRenamed(Event):
    tenant: TenantId
    name: Sealed


class TenantSettingChanged(Event):
    edges = (("setting", "tenant", "setting"),)
    tenant: TenantId
    setting: Code
    value: Sealed | None
    """None takes the setting away."""


class TenantSuspended(Event):
    tenant: TenantId
    reason: Sealed | None = None


class TenantResumed(Event):
    tenant: TenantId


class TenantDeleted(Event):
    tenant: TenantId


class TenantNameReserved(Event):
    """In the deployment's history: the tenant may use the name, and nobody else may take it.

    Whether it was used is looked at after the deadline, and the name is confirmed or released.
    """

    tenant: TenantId
    name: Sealed
    name_handle: Handle
    deadline: Instant


class TenantNameConfirmed(Event):
    """In the deployment's history: the tenant uses the name, without a deadline."""

    tenant: TenantId
    name: Sealed
    name_handle: Handle


class TenantNameReleased(Event):
    """In the deployment's history: the name is free again."""

    tenant: TenantId
    name_handle: Handle


class CreateTenant(Command):
    permission = "tenants:create"
    tenant: TenantId
    name: Sealed
    region: Code | None = None

    def boundary(self) -> Boundary:
        return life_of(self.tenant)


class RenameTenant(Command):
    permission = "tenants:manage"
    tenant: TenantId
    name: Sealed
    taken: bool = False
    """Whether another tenant has the name."""

    def boundary(self) -> Boundary:
        return life_of(self.tenant)


class ChangeTenantSetting(Command):
    permission = "tenants:settings"
    tenant: TenantId
    setting: Code
    value: Sealed | None

    def boundary(self) -> Boundary:
        return life_of(self.tenant) | tagged(f"setting:{self.tenant}/{self.setting}", TenantSettingChanged)


class SuspendTenant(Command):
    permission = "tenants:manage"
    while_suspended = True
    tenant: TenantId
    reason: Sealed | None = None

    def boundary(self) -> Boundary:
        return life_of(self.tenant)


class ResumeTenant(Command):
    permission = "tenants:manage"
    while_suspended = True
    tenant: TenantId

    def boundary(self) -> Boundary:
        return life_of(self.tenant)


class DeleteTenant(Command):
    permission = "tenants:manage"
    while_suspended = True
    tenant: TenantId

    def boundary(self) -> Boundary:
        return life_of(self.tenant)


class ReserveTenantName(Command):
    permission = "tenants:create"
    tenant: TenantId
    name: Sealed
    name_handle: Handle
    deadline: Instant

    def boundary(self) -> Boundary:
        return name_of(self.name_handle)


class ConfirmTenantName(Command):
    permission = "tenants:create"
    tenant: TenantId
    name: Sealed
    name_handle: Handle

    def boundary(self) -> Boundary:
        return name_of(self.name_handle)


class ReleaseTenantName(Command):
    permission = "tenants:create"
    tenant: TenantId
    name_handle: Handle

    def boundary(self) -> Boundary:
        return name_of(self.name_handle)


def life_of(tenant: TenantId) -> Boundary:
    """Whether a tenant is alive, suspended or deleted."""
    return about(tenant, TenantCreated, TenantRenamed, TenantSuspended, TenantResumed, TenantDeleted)


def name_of(handle: Handle) -> Boundary:
    """Who holds a tenant name."""
    return about(handle, TenantNameReserved, TenantNameConfirmed, TenantNameReleased)


TenantsCommand = (
    CreateTenant
    | RenameTenant
    | ChangeTenantSetting
    | SuspendTenant
    | ResumeTenant
    | DeleteTenant
    | ReserveTenantName
    | ConfirmTenantName
    | ReleaseTenantName
)


class KnownTenant(Known):
    """The tenant's life, its name, a setting, and the holder of a name."""

    def __init__(self, now: Instant) -> None:
        super().__init__(now)
        self.life = "none"
        self.name: Sealed | None = None
        self.setting: Sealed | None = None
        self.holder: TenantId | None = None
        self.confirmed = False

    def evolve(self, recorded: Recorded) -> None:
        match recorded.event:
            case TenantCreated(name=name):
                self.life, self.name = "active", name
            case TenantRenamed(name=name):
                self.name = name
            case TenantSuspended():
                self.life = "suspended"
            case TenantResumed():
                self.life = "active"
            case TenantDeleted():
                self.life = "deleted"
            case TenantSettingChanged(value=value):
                self.setting = value
            case TenantNameReserved(tenant=tenant):
                self.holder, self.confirmed = tenant, False
            case TenantNameConfirmed(tenant=tenant):
                self.holder, self.confirmed = tenant, True
            case TenantNameReleased():
                self.holder, self.confirmed = None, False

    def exists(self) -> None:
        if self.life in ("none", "deleted"):
            raise Missing("the tenant does not exist")


def decide(command: TenantsCommand, known: KnownTenant) -> list[Event]:
    match command:
        case CreateTenant(tenant, name, region):
            if known.life != "none" or tenant == DEPLOYMENT:
                raise Taken("the tenant exists already; create one with a new id")
            return [TenantCreated(tenant, name, region)]
        case RenameTenant(tenant, name, taken):
            known.exists()
            if taken:
                raise Taken(NAME_TAKEN)
            return [] if name.same_as(known.name) else [TenantRenamed(tenant, name)]
        case ChangeTenantSetting(tenant, setting, value):
            known.exists()
            same = value is None if known.setting is None else known.setting.same_as(value)
            return [] if same else [TenantSettingChanged(tenant, setting, value)]
        case SuspendTenant(tenant, reason):
            known.exists()
            return [] if known.life == "suspended" else [TenantSuspended(tenant, reason)]
        case ResumeTenant(tenant):
            known.exists()
            return [TenantResumed(tenant)] if known.life == "suspended" else []
        case DeleteTenant(tenant):
            known.exists()
            return [TenantDeleted(tenant)]
        case ReserveTenantName(tenant, name, handle, deadline):
            if known.holder not in (None, tenant):
                raise Taken(NAME_TAKEN)
            if deadline <= known.now:
                raise Refused("the deadline is not in the future")
            return [] if known.confirmed else [TenantNameReserved(tenant, name, handle, deadline)]
        case ConfirmTenantName(tenant, name, handle):
            if known.holder != tenant:
                raise Refused("the name is not reserved for this tenant; reserve it first")
            return [] if known.confirmed else [TenantNameConfirmed(tenant, name, handle)]
        case ReleaseTenantName(tenant, handle):
            return [TenantNameReleased(tenant, handle)] if known.holder == tenant else []
        case _:
            assert_never(command)


decider = Decider(
    commands=(
        CreateTenant,
        RenameTenant,
        ChangeTenantSetting,
        SuspendTenant,
        ResumeTenant,
        DeleteTenant,
        ReserveTenantName,
        ConfirmTenantName,
        ReleaseTenantName,
    ),
    begin=KnownTenant,
    decide=decide,
)
