"""Accesses are recorded whatever state a tenant is in; an export ends once, and a tenant has so many."""

import pytest

from domain import audit
from domain.command import Missing, Refused, Taken
from domain.event import Code, Event, Instant, Recorded
from domain.ids import ExportId, TenantId

TENANT = TenantId("ten_" + "0" * 32)
EXPORT = ExportId("exp_" + "0" * 32)
NOW = Instant(1_700_000_000_000_000)
REQUEST = audit.RequestExport(TENANT, EXPORT, Code("csv"), 0, 9, (), (), 60)
FINISH = audit.FinishExport(TENANT, EXPORT, b"d", b"m", 1, 9, 1, 9, 10, b"r")
FAIL = audit.FailExport(TENANT, EXPORT, Code("why"))
EXPIRE = audit.ExpireExport(TENANT, EXPORT, Code("time"))


def known(*commands: audit.AuditCommand) -> audit.KnownExport:
    """After these commands were decided, one after another."""
    found = audit.KnownExport(NOW)
    found.tallies["exports"] = set()
    for position, command in enumerate(commands, 1):
        for event in audit.decide(command, found):
            found.evolve(Recorded(TENANT, position, NOW, event))
    return found


def decided(command: audit.AuditCommand, *before: audit.AuditCommand) -> Event:
    (event,) = audit.decide(command, known(*before))
    return event


def test_an_access_is_what_it_says() -> None:
    command = audit.RecordAccess(Code("search"), Code("everything"), 3, 1, 9, 0, NOW)
    assert decided(command) == audit.TrailAccessed(Code("search"), Code("everything"), 3, 1, 9, 0, NOW)
    assert command.while_suspended
    assert command.while_deleted


def test_an_export_is_kept_from_its_end_on() -> None:
    finished = decided(FINISH, REQUEST)
    assert isinstance(finished, audit.ExportFinished)
    assert finished.expires_at == NOW + 60_000_000


@pytest.mark.parametrize("before", [(), (REQUEST, FINISH), (REQUEST, FAIL), (REQUEST, EXPIRE)])
def test_only_a_running_export_ends(before: tuple[audit.AuditCommand, ...]) -> None:
    for command in (FINISH, FAIL):
        with pytest.raises(Missing):
            audit.decide(command, known(*before))


@pytest.mark.parametrize("before", [(REQUEST,), (REQUEST, FINISH), (REQUEST, FAIL)])
def test_files_go_once(before: tuple[audit.AuditCommand, ...]) -> None:
    assert isinstance(decided(EXPIRE, *before), audit.ExportExpired)
    with pytest.raises(Missing):
        audit.decide(EXPIRE, known(*before, EXPIRE))


def test_a_tenant_has_so_many_exports() -> None:
    full = known()
    full.tallies["exports"] = {f"exp_{number}" for number in range(audit.MOST_EXPORTS)}
    with pytest.raises(Refused):
        audit.decide(REQUEST, full)
    with pytest.raises(Taken):
        audit.decide(REQUEST, known(REQUEST))


def test_the_tally_counts_those_whose_files_are_there() -> None:
    tally = audit.every_export_of(TENANT)
    state = tally.begin()
    events = [decided(REQUEST), decided(FINISH, REQUEST)]
    for position, event in enumerate(events, 1):
        tally.evolve(state, Recorded(TENANT, position, NOW, event))
    assert state == {EXPORT}
    tally.evolve(state, Recorded(TENANT, 3, NOW, decided(EXPIRE, REQUEST, FINISH)))
    assert not state
