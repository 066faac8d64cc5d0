"""Given what happened, when somebody asks, then this happens: decided from what the boundary names and no more."""

from collections.abc import Sequence

from domain.access.owners import RoleAssigned
from domain.access.roles import RoleDefined
from domain.agents import OperatorKeyIssued
from domain.boundary import Boundary, Item
from domain.capabilities import DECIDERS
from domain.command import Command, Known, Refused
from domain.directory.groups import GroupExternalIdChanged, MemberAdded
from domain.directory.life import UserDeactivated
from domain.directory.users import UserExternalIdChanged, UserProfileChanged, UserRenamed
from domain.event import Code, Event, Instant, Recorded
from domain.flags import FlagSwitchedOff, FlagTargeted
from domain.ids import CredentialId, DirectoryId, FlagId, GroupId, OperatorId, RoleId, TenantId, UserId
from domain.tenants import TenantCreated, TenantNameReserved, TenantSettingChanged, TenantSuspended
from tests.domain import people

NOW = Instant(1_000_000_000)
BEFORE = Instant(NOW - 1)
LATER = Instant(NOW + 1)
MOST_READS = 8


def _neighbours(who: str) -> tuple[Event, ...]:
    """A life next door that must not matter to anybody's else."""
    user, group, role, key = (
        UserId(f"usr_{who}"),
        GroupId(f"grp_{who}"),
        RoleId(f"rol_{who}"),
        CredentialId(f"key_{who}"),
    )
    directory, flag, tenant = DirectoryId(f"dir_{who}"), FlagId(f"flg_{who}"), TenantId(f"ten_{who}")
    name = people.handle(who + "_then")
    return (
        TenantCreated(tenant, people.sealed(tenant, who)),
        TenantSettingChanged(tenant, Code("theme"), people.sealed(tenant, who)),
        TenantNameReserved(tenant, people.sealed(tenant, who), people.handle(who, "tenant"), Instant(NOW * 2)),
        TenantSuspended(tenant),
        people.provisioned(user, external_id=who),
        UserRenamed(user, people.sealed(user, who + "_then"), name, people.handle(who)),
        UserExternalIdChanged(user, None, None, people.handle(who, "external")),
        UserProfileChanged(user, None, None, None, None, None),
        UserDeactivated(user),
        people.created(group, external_id=who + "_group"),
        GroupExternalIdChanged(group, None, None, people.handle(who + "_group", "external")),
        MemberAdded(group, user),
        people.feed(directory),
        people.token(CredentialId(f"tok_{who}"), directory),
        RoleDefined(role, Code(who), (Code("x:y"),)),
        RoleAssigned(role, user),
        people.issued(key, user),
        OperatorKeyIssued(OperatorId(f"opr_{who}"), key, b"hash"),
        people.flag(flag),
        FlagTargeted(flag, user, Code("on")),
        FlagSwitchedOff(flag),
    )


class Asked:
    """What a command led to, both alone and among neighbours."""

    def __init__(self, history: Sequence[Event], command: Command, now: Instant) -> None:
        self._outcomes = [
            _outcome(events, command, now)
            for events in (history, (*_neighbours("kif"), *history), (*history, *_neighbours("zoidberg")))
        ]

    def then(self, *events: Event) -> None:
        """Exactly these happen, in this order."""
        for outcome in self._outcomes:
            assert outcome == list(events)

    def then_nothing(self) -> None:
        self.then()

    def then_refused(self, reason: str, kind: type[Refused] = Refused) -> None:
        """Refused for a reason that holds this text; exactly as this kind of refusal."""
        for outcome in self._outcomes:
            assert isinstance(outcome, Refused), outcome
            assert reason in outcome.reason
            assert type(outcome) is kind


class Given:
    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events

    def when(self, command: Command, now: Instant = NOW) -> Asked:
        return Asked(self._events, command, now)


def given(*events: Event) -> Given:
    """The tenant's history, oldest first."""
    return Given(events)


def _outcome(history: Sequence[Event], command: Command, now: Instant) -> list[Event] | Refused:
    decider = DECIDERS[type(command)]
    recorded = [
        Recorded(people.PLANET_EXPRESS, position, Instant(position), each) for position, each in enumerate(history, 1)
    ]
    known = decider.begin(now)
    read(recorded, command.boundary(), known)
    for _ in range(MOST_READS):
        more = command.then(known)
        if not more.items and not more.tallies:
            break
        read(recorded, more, known)
    else:
        raise AssertionError("the command never has enough")
    try:
        return decider.decide(command, known)
    except Refused as refused:
        return refused


def read(history: Sequence[Recorded], boundary: Boundary, known: Known) -> None:
    """Shows `known` what the sequencer shows it: the latest event of each type that an item names, in order."""
    found = {each.position: each for item in boundary.items for each in _latest(history, item)}
    for position in sorted(found):
        known.evolve(found[position])
    for tally in boundary.tallies:
        state = tally.begin()
        for each in history:
            if type(each.event) in tally.types and tally.tag in each.event.subject_tags():
                tally.evolve(state, each)
        known.tallies[tally.name] = state


def _latest(history: Sequence[Recorded], item: Item) -> list[Recorded]:
    (tag,) = item.tags
    latest: dict[type[Event], Recorded] = {}
    for each in history:
        if type(each.event) in item.types and tag in each.event.subject_tags():
            latest[type(each.event)] = each
    return list(latest.values())
