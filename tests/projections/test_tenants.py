"""Tenants, settings and reserved names, as they follow from events."""

from domain.event import Code, Instant
from domain.ids import DEPLOYMENT, TenantId
from domain.tenants import (
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
from projections.tenants import NAMES, SETTINGS, TENANTS, NameRow, SettingRow, TenantRow
from tests.domain.people import PLANET_EXPRESS, handle, sealed
from tests.projections.folding import fold, rows_of

NAME, OTHER = sealed(PLANET_EXPRESS, "Planet Express"), sealed(PLANET_EXPRESS, "Express")
CREATED = TenantCreated(PLANET_EXPRESS, NAME, Code("eu"))
SUSPENDED, RESUMED = TenantSuspended(PLANET_EXPRESS, sealed(PLANET_EXPRESS, "unpaid")), TenantResumed(PLANET_EXPRESS)
HANDLE, MOMCORP = handle("pe", "tenant"), TenantId("ten_momcorp")
MINE = sealed(DEPLOYMENT, "Planet Express")


def row(name: object, life: str, changed_at: int) -> TenantRow:
    return TenantRow(PLANET_EXPRESS, name, life, Instant(10), Instant(changed_at), "eu")  # type: ignore[arg-type]


def test_a_tenant_is_created_renamed_suspended_resumed_and_deleted() -> None:
    events = CREATED, TenantRenamed(PLANET_EXPRESS, OTHER), SUSPENDED, RESUMED, TenantDeleted(PLANET_EXPRESS)
    expected = [
        row(NAME, "active", 10),
        row(OTHER, "active", 20),
        row(OTHER, "suspended", 30),
        row(OTHER, "active", 40),
        row(OTHER, "deleted", 50),
    ]
    for number, after in enumerate(expected, 1):
        assert rows_of(TENANTS, *events[:number]) == {PLANET_EXPRESS: after}


def test_a_setting_is_there_until_it_is_taken_away() -> None:
    dark, light = sealed(PLANET_EXPRESS, "dark"), sealed(PLANET_EXPRESS, "light")
    theme, language = Code("theme"), Code("language")
    events = (
        TenantSettingChanged(PLANET_EXPRESS, theme, dark),
        TenantSettingChanged(PLANET_EXPRESS, language, dark),
        TenantSettingChanged(PLANET_EXPRESS, theme, light),
        TenantSettingChanged(PLANET_EXPRESS, theme, None),
    )
    assert rows_of(SETTINGS, *events[:3]) == {
        "theme": SettingRow("theme", light, Instant(30)),
        "language": SettingRow("language", dark, Instant(20)),
    }
    assert rows_of(SETTINGS, *events).keys() == {"language"}


def test_a_name_is_reserved_confirmed_and_released() -> None:
    events = (
        TenantNameReserved(PLANET_EXPRESS, MINE, HANDLE, Instant(99)),
        TenantNameConfirmed(PLANET_EXPRESS, MINE, HANDLE),
        TenantNameReleased(PLANET_EXPRESS, HANDLE),
    )
    assert rows_of(NAMES, *events[:1]) == {HANDLE: NameRow(PLANET_EXPRESS, MINE, HANDLE, Instant(99))}
    assert rows_of(NAMES, *events[:2]) == {HANDLE: NameRow(PLANET_EXPRESS, MINE, HANDLE)}
    assert rows_of(NAMES, *events) == {}


def test_a_lapsed_name_is_the_next_ones_and_found_by_it() -> None:
    rows = fold(
        TenantNameReserved(MOMCORP, MINE, HANDLE, Instant(9)),
        TenantNameReserved(PLANET_EXPRESS, MINE, HANDLE, Instant(99)),
    )
    assert rows.find(NAMES, "tenant", MOMCORP) == []
    expected = NameRow(PLANET_EXPRESS, MINE, HANDLE, Instant(99))
    assert rows.find(NAMES, "tenant", PLANET_EXPRESS) == [(HANDLE, expected)]
