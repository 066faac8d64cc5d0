"""Tenants: created once, suspended and resumed, deleted for good; their settings; and names that only one can have."""

from domain.command import Missing, Refused, Taken
from domain.event import Code, Instant
from domain.ids import DEPLOYMENT, TenantId
from domain.tenants import (
    ChangeTenantSetting,
    ConfirmTenantName,
    CreateTenant,
    DeleteTenant,
    ReleaseTenantName,
    RenameTenant,
    ReserveTenantName,
    ResumeTenant,
    SuspendTenant,
    TenantCreated,
    TenantDeleted,
    TenantNameConfirmed,
    TenantNameReleased,
    TenantNameReserved,
    TenantRenamed,
    TenantResumed,
    TenantSettingChanged,
    TenantSuspended,
)
from tests.domain.given import BEFORE, LATER, NOW, given
from tests.domain.people import PLANET_EXPRESS, handle, sealed

NAME, OTHER = sealed(PLANET_EXPRESS, "Planet Express"), sealed(PLANET_EXPRESS, "Express")
CREATED = TenantCreated(PLANET_EXPRESS, NAME)
SUSPENDED, RESUMED = TenantSuspended(PLANET_EXPRESS), TenantResumed(PLANET_EXPRESS)
DELETED = TenantDeleted(PLANET_EXPRESS)
MOMCORP = TenantId("ten_momcorp")
THEME, DARK, LIGHT = Code("theme"), sealed(PLANET_EXPRESS, "dark"), sealed(PLANET_EXPRESS, "light")
HANDLE = handle("planet_express", "tenant")
MINE = sealed(DEPLOYMENT, "Planet Express")


def test_a_tenant_is_created() -> None:
    given().when(CreateTenant(PLANET_EXPRESS, NAME, Code("eu"))).then(TenantCreated(PLANET_EXPRESS, NAME, Code("eu")))


def test_a_tenant_is_created_once() -> None:
    given(CREATED).when(CreateTenant(PLANET_EXPRESS, NAME)).then_refused("exists already", Taken)
    given(CREATED, SUSPENDED).when(CreateTenant(PLANET_EXPRESS, NAME)).then_refused("exists already", Taken)


def test_a_deleted_tenant_never_comes_back() -> None:
    given(CREATED, DELETED).when(CreateTenant(PLANET_EXPRESS, NAME)).then_refused("exists already", Taken)


def test_the_deployment_is_no_tenant() -> None:
    given().when(CreateTenant(DEPLOYMENT, NAME)).then_refused("exists already", Taken)


def test_a_tenant_is_renamed() -> None:
    given(CREATED).when(RenameTenant(PLANET_EXPRESS, OTHER)).then(TenantRenamed(PLANET_EXPRESS, OTHER))


def test_the_name_a_tenant_has_already_changes_nothing() -> None:
    given(CREATED).when(RenameTenant(PLANET_EXPRESS, NAME)).then_nothing()
    renamed = TenantRenamed(PLANET_EXPRESS, OTHER)
    given(CREATED, renamed).when(RenameTenant(PLANET_EXPRESS, OTHER)).then_nothing()
    given(CREATED, renamed).when(RenameTenant(PLANET_EXPRESS, NAME)).then(TenantRenamed(PLANET_EXPRESS, NAME))


def test_no_tenant_is_given_a_name_that_another_has() -> None:
    given(CREATED).when(RenameTenant(PLANET_EXPRESS, OTHER, taken=True)).then_refused("another tenant has", Taken)


def test_a_setting_is_changed_and_taken_away() -> None:
    changed = TenantSettingChanged(PLANET_EXPRESS, THEME, DARK)
    given(CREATED).when(ChangeTenantSetting(PLANET_EXPRESS, THEME, DARK)).then(changed)
    gone = TenantSettingChanged(PLANET_EXPRESS, THEME, None)
    given(CREATED, changed).when(ChangeTenantSetting(PLANET_EXPRESS, THEME, None)).then(gone)


def test_a_setting_as_it_is_changes_nothing() -> None:
    changed = TenantSettingChanged(PLANET_EXPRESS, THEME, DARK)
    given(CREATED, changed).when(ChangeTenantSetting(PLANET_EXPRESS, THEME, DARK)).then_nothing()
    given(CREATED).when(ChangeTenantSetting(PLANET_EXPRESS, THEME, None)).then_nothing()
    gone = TenantSettingChanged(PLANET_EXPRESS, THEME, None)
    given(CREATED, changed, gone).when(ChangeTenantSetting(PLANET_EXPRESS, THEME, None)).then_nothing()


def test_one_setting_says_nothing_about_another() -> None:
    changed = TenantSettingChanged(PLANET_EXPRESS, Code("language"), DARK)
    command = ChangeTenantSetting(PLANET_EXPRESS, THEME, DARK)
    given(CREATED, changed).when(command).then(TenantSettingChanged(PLANET_EXPRESS, THEME, DARK))


def test_a_tenant_is_suspended_and_resumed() -> None:
    reason = sealed(PLANET_EXPRESS, "unpaid")
    given(CREATED).when(SuspendTenant(PLANET_EXPRESS, reason)).then(TenantSuspended(PLANET_EXPRESS, reason))
    given(CREATED, SUSPENDED).when(ResumeTenant(PLANET_EXPRESS)).then(RESUMED)
    given(CREATED, SUSPENDED, RESUMED).when(SuspendTenant(PLANET_EXPRESS)).then(SUSPENDED)


def test_suspending_the_suspended_and_resuming_the_active_change_nothing() -> None:
    given(CREATED, SUSPENDED).when(SuspendTenant(PLANET_EXPRESS)).then_nothing()
    given(CREATED).when(ResumeTenant(PLANET_EXPRESS)).then_nothing()
    given(CREATED, SUSPENDED, RESUMED).when(ResumeTenant(PLANET_EXPRESS)).then_nothing()


def test_a_tenant_is_deleted_also_while_suspended() -> None:
    given(CREATED).when(DeleteTenant(PLANET_EXPRESS)).then(DELETED)
    given(CREATED, SUSPENDED).when(DeleteTenant(PLANET_EXPRESS)).then(DELETED)


def test_what_does_not_exist_or_is_deleted_can_not_be_changed() -> None:
    for command in (
        RenameTenant(PLANET_EXPRESS, OTHER),
        ChangeTenantSetting(PLANET_EXPRESS, THEME, LIGHT),
        SuspendTenant(PLANET_EXPRESS),
        ResumeTenant(PLANET_EXPRESS),
        DeleteTenant(PLANET_EXPRESS),
    ):
        given().when(command).then_refused("does not exist", Missing)
        given(CREATED, SUSPENDED, DELETED).when(command).then_refused("does not exist", Missing)


def reserved(tenant: TenantId, deadline: Instant = LATER) -> TenantNameReserved:
    return TenantNameReserved(tenant, MINE, HANDLE, deadline)


def confirmed(tenant: TenantId) -> TenantNameConfirmed:
    return TenantNameConfirmed(tenant, MINE, HANDLE)


RESERVE = ReserveTenantName(PLANET_EXPRESS, MINE, HANDLE, LATER)
CONFIRM = ConfirmTenantName(PLANET_EXPRESS, MINE, HANDLE)
RELEASE = ReleaseTenantName(PLANET_EXPRESS, HANDLE)


def test_a_name_is_reserved_confirmed_and_released() -> None:
    given().when(RESERVE).then(reserved(PLANET_EXPRESS))
    given(reserved(PLANET_EXPRESS)).when(CONFIRM).then(confirmed(PLANET_EXPRESS))
    history = reserved(PLANET_EXPRESS), confirmed(PLANET_EXPRESS)
    given(*history).when(RELEASE).then(TenantNameReleased(PLANET_EXPRESS, HANDLE))


def test_a_name_that_is_held_is_taken() -> None:
    given(reserved(MOMCORP)).when(RESERVE).then_refused("another tenant has this name", Taken)
    given(reserved(MOMCORP, BEFORE), confirmed(MOMCORP)).when(RESERVE).then_refused("another tenant", Taken)


def test_a_reservation_is_nobody_elses_also_after_its_deadline_because_it_may_be_used_already() -> None:
    for deadline in (BEFORE, NOW, LATER):
        given(reserved(MOMCORP, deadline)).when(RESERVE).then_refused("another tenant has this name", Taken)
        given(reserved(MOMCORP, deadline)).when(CONFIRM).then_refused("reserve it first")


def test_a_reservation_can_be_confirmed_or_given_back_after_its_deadline() -> None:
    given(reserved(PLANET_EXPRESS, BEFORE)).when(CONFIRM).then(confirmed(PLANET_EXPRESS))
    given(reserved(PLANET_EXPRESS, BEFORE)).when(RELEASE).then(TenantNameReleased(PLANET_EXPRESS, HANDLE))


def test_a_released_name_is_free_again() -> None:
    history = reserved(MOMCORP), confirmed(MOMCORP), TenantNameReleased(MOMCORP, HANDLE)
    given(*history).when(RESERVE).then(reserved(PLANET_EXPRESS))
    given(*history, reserved(PLANET_EXPRESS)).when(CONFIRM).then(confirmed(PLANET_EXPRESS))
    given(*history).when(CONFIRM).then_refused("reserve it first")


def test_a_reservation_can_be_prolonged_but_not_begin_lapsed() -> None:
    given(reserved(PLANET_EXPRESS, BEFORE)).when(RESERVE).then(reserved(PLANET_EXPRESS))
    past = ReserveTenantName(PLANET_EXPRESS, MINE, HANDLE, NOW)
    given().when(past).then_refused("not in the future", Refused)


def test_a_name_that_is_confirmed_stays_so() -> None:
    history = reserved(PLANET_EXPRESS), confirmed(PLANET_EXPRESS)
    given(*history).when(RESERVE).then_nothing()
    given(*history).when(CONFIRM).then_nothing()


def test_a_name_is_released_once_and_then_nobodys() -> None:
    released = reserved(PLANET_EXPRESS), confirmed(PLANET_EXPRESS), TenantNameReleased(PLANET_EXPRESS, HANDLE)
    given(*released).when(RELEASE).then_nothing()
    given(*released).when(CONFIRM).then_refused("reserve it first")
    given(reserved(PLANET_EXPRESS)).when(RELEASE).then(TenantNameReleased(PLANET_EXPRESS, HANDLE))


def test_only_the_holder_releases_a_name() -> None:
    given(reserved(MOMCORP)).when(RELEASE).then_nothing()
    given().when(RELEASE).then_nothing()
    given().when(CONFIRM).then_refused("reserve it first")
