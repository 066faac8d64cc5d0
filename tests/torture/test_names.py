"""The checker of tenant names finds two of one name, and tenants that were founded though nobody was told so."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from domain.event import Instant
from domain.ids import TenantId
from domain.tenants import TenantCreated, TenantDeleted
from tests.domain.people import sealed
from tests.torture.histories import Done
from tests.torture.names import FOUNDED, UNIQUE, check_names
from tests.torture.noted import Asked, Attempt, Wish
from tests.torture.topic import Line
from tests.torture.verdict import Verdict

ONE, OTHER = TenantId("ten_one"), TenantId("ten_other")


def done(tenant: TenantId, position: int, correlation: str, event: Any) -> Done:
    line = Line(
        0, 0, None, tenant, b"", event, position, Instant(1), [], "", [], "cmd", correlation, None, frozenset(), 0
    )
    return Done(tenant, "cmd", correlation, [line])


def founded(tenant: TenantId) -> Done:
    return done(tenant, 1, f"found-{tenant}", TenantCreated(tenant, sealed(tenant, "Ash")))


def closed(tenant: TenantId) -> Done:
    return done(tenant, 2, f"close-{tenant}", TenantDeleted(tenant))


def asked(kind: str, tenant: TenantId, call: float, end: float, result: Any = "done") -> Asked:
    attempt = Attempt(f"{kind.partition('_')[0]}-{tenant}", 0, call, end, 201)
    wish = Wish(kind, text="Ash") if kind == "found_tenant" else Wish(kind, tenant)
    made = tenant if kind == "found_tenant" and result == "done" else ""
    return Asked(0, tenant, wish, call, True, attempts=[attempt], end=end, result=result, made=made)


FIRST = [asked("found_tenant", ONE, 1, 2), asked("close_tenant", ONE, 5, 6)]
HISTORIES: dict[str, list[Done]] = {ONE: [founded(ONE), closed(ONE)], OTHER: [founded(OTHER)]}


def failed(noted: list[Asked], histories: Mapping[str, list[Done]]) -> set[str]:
    verdict = Verdict()
    check_names(noted, histories, verdict)
    assert verdict.looked[FOUNDED] == sum(each.wish.kind == "found_tenant" for each in noted)
    return set(verdict.failed)


def test_a_name_that_is_free_again_can_be_anothers() -> None:
    assert not failed([*FIRST, asked("found_tenant", OTHER, 4, 5.5)], HISTORIES)


def test_two_of_one_name_at_once_are_found() -> None:
    assert failed([*FIRST, asked("found_tenant", OTHER, 3, 4)], HISTORIES) == {UNIQUE}


def test_two_of_one_name_in_the_end_are_found_though_nobody_was_answered() -> None:
    noted = [asked("found_tenant", each, 1, 2, "ambiguous") for each in (ONE, OTHER)]
    assert failed(noted, {ONE: [founded(ONE)], OTHER: [founded(OTHER)]}) == {UNIQUE}


@pytest.mark.parametrize("change", [{"result": "refused"}, {"made": OTHER}])
def test_what_the_founder_was_told_is_compared(change: dict[str, Any]) -> None:
    noted = [msgspec.structs.replace(FIRST[0], **change)]
    assert failed(noted, {ONE: [founded(ONE)]}) == {FOUNDED}
    assert failed(noted[:0], {ONE: [founded(ONE)]}) == set()


def test_a_tenant_that_is_not_there_is_found() -> None:
    assert failed(FIRST[:1], {}) == {FOUNDED}
