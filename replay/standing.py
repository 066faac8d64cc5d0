"""Standing: what each credential of a tenant opened at a moment, folded by the code that decides now."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from domain import agents, tenants
from domain.access.check import TENANT_PERMISSIONS, Decision, decide_access
from domain.access.credentials import Credential, Merging, Person, ResidentViews, settled
from domain.access.owners import OWNER, AssignmentExpired, RoleAssigned, RoleWithdrawn
from domain.access.roles import RoleChanged, RoleDefined, RoleRetired
from domain.directory import feeds, groups, life
from domain.event import Entry, Event, Recorded
from domain.ids import DEPLOYMENT, GroupId, RoleId, TenantId, UserId, is_id
from domain.ledger import History, Query
from domain.view import Close, View
from projections import access, directory, flags
from projections import agents as keys
from projections import tenants as tenant_views
from replay.folded import Folded

MOST_EVENTS: Final = 100_000
"""About one credential and its holder."""
_PAGE: Final = 2_000
_KEYS: Final = (
    agents.ApiKeyIssued,
    agents.ApiKeyRotated,
    agents.ApiKeyRevoked,
    agents.OperatorKeyIssued,
    agents.OperatorKeyRevoked,
    feeds.DirectoryTokenIssued,
    feeds.DirectoryTokenRevoked,
)
_LIVES: Final = (
    life.UserProvisioned,
    life.UserDeactivated,
    life.UserReactivated,
    life.UserDeleted,
    life.SubjectErased,
)
_ASSIGNMENTS: Final = (RoleAssigned, RoleWithdrawn, AssignmentExpired)
_MEMBERSHIPS: Final = (groups.MemberAdded, groups.MemberRemoved)


class TooMuchAbout(Exception):
    """More was recorded about one credential than can be folded at once; the message says what to do."""


class PersonRow(msgspec.Struct, frozen=True):
    active: bool


class People(View[PersonRow]):
    """Whether each person is there and active, and nothing else of them."""

    name = "people"
    row = PersonRow
    follows = _LIVES

    def concerns(self, event: Event) -> tuple[str | Close, ...]:
        return (event.user,)  # type: ignore[attr-defined]

    def evolve(self, row: PersonRow | None, recorded: Recorded) -> PersonRow | None:
        match recorded.event:
            case life.UserProvisioned(active=active):
                return PersonRow(active)
            case life.UserDeactivated() if row:
                return PersonRow(False)
            case life.UserReactivated() if row:
                return PersonRow(True)
            case life.UserDeleted() | life.SubjectErased():
                return None
        return row


PEOPLE: Final = People()
VIEWS: Final = ResidentViews(
    tenants=tenant_views.TENANTS,
    names=tenant_views.NAMES,
    directories=directory.DIRECTORIES,
    tokens=directory.TOKENS,
    api_keys=keys.API_KEYS,
    operator_keys=keys.OPERATOR_KEYS,
    roles=access.ROLES,
    assignments=access.ASSIGNMENTS,
    flags=flags.FLAGS,
    targets=flags.TARGETS,
)
DECIDING: Final[tuple[View[Any], ...]] = (
    VIEWS.tenants,
    VIEWS.tokens,
    VIEWS.api_keys,
    VIEWS.operator_keys,
    VIEWS.roles,
    VIEWS.assignments,
    directory.MEMBERS,
    PEOPLE,
)
"""All that a decision about access can depend on."""
OPENING: Final = (VIEWS.api_keys, VIEWS.tokens, VIEWS.operator_keys)
"""Each has a row for each credential, by its id."""


class Standing:
    """Who may do what in one tenant, as far as its rows are folded. `changed` after each step that may change it."""

    def __init__(self, tenant: TenantId, rows: Folded | None = None) -> None:
        self.tenant = tenant
        self.rows = rows or Folded(DECIDING)
        self._follows = frozenset(self.rows.follows)
        self._credentials: dict[str, Credential | None] = {}
        self._people: dict[UserId, Person] = {}
        self._merging = self._new_merging()

    def _new_merging(self) -> Merging:
        return Merging(self.tenant, self.rows, VIEWS, self._person)

    def evolve(self, recorded: Recorded) -> None:
        """One step, in order."""
        if type(recorded.event) not in self._follows:
            return
        self.rows.evolve(recorded)
        user = getattr(recorded.event, "user", None) or getattr(recorded.event, "member", None)
        if user is not None and user not in self._people:
            return  # nobody whose credentials were asked for
        self.changed()

    def changed(self) -> None:
        """What was merged is asked of the rows again."""
        self._credentials.clear()
        self._people.clear()
        self._merging = self._new_merging()

    def copy(self) -> "Standing":
        """The same, and from here on another."""
        return Standing(self.tenant, self.rows.copy())

    @property
    def life(self) -> str:
        """active, suspended, deleted or none"""
        if self.tenant == DEPLOYMENT:
            return "active"
        row = self.rows.rows[VIEWS.tenants.name].get(self.tenant)
        return row.life if row else "none"

    def credential(self, id: str) -> Credential | None:
        """What a credential opens; None if there is none."""
        if id not in self._credentials:
            self._credentials[id] = self._merge(id)
        return self._credentials[id]

    def _merge(self, id: str) -> Credential | None:
        for view in OPENING:
            row = self.rows.rows[view.name].get(id)
            if row is not None:
                merged = self._merging.merge(view.name, row, row.secret_hash, self.rows.position)
                return settled(merged, None if self.life == "active" else f"the tenant is {self.life}")
        return None

    def _person(self, user: UserId) -> Person:
        person = self._people.get(user)
        if person is None:
            row = self.rows.rows[PEOPLE.name].get(user)
            member_of = {GroupId(each.group) for _, each in self.rows.find(directory.MEMBERS, "member", user)}
            person = self._people[user] = Person(row is not None and row.active, member_of)
        return person

    def judge(self, credential: str, permission: str, at: int) -> Decision:
        """Whether a credential permits something at an instant: what a caller who shows it is answered."""
        found = self.credential(credential)
        if found is None:
            return Decision(False, "the credential does not exist")
        if found.expires_at is not None and found.expires_at <= at:
            return Decision(False, "the credential has expired")
        if found.refusal is not None:
            return Decision(False, found.refusal)
        return decide_access(found.subject, permission, at)


def standing_of(
    history: History, tenant: TenantId, credential: str, until: int, about: Event | None = None
) -> Standing:
    """The standing of one credential, from the events about it, its holder, and the holder's groups and roles alone.

    And of what `about` hands on, if it does. Raises TooMuchAbout.
    """
    gathered = _Gathered(history, tenant, until)
    gathered.take(f"credential:{credential}", _KEYS)
    if tenant != DEPLOYMENT:
        gathered.take(f"tenant:{tenant}", tenants_life())
    for event in tuple(gathered.events()):
        match event:
            case agents.ApiKeyIssued(holder=holder) if is_id(holder, "usr"):
                _take_person(gathered, UserId(holder))
            case feeds.DirectoryTokenIssued(directory=feed):
                gathered.take(f"directory:{feed}", (feeds.DirectoryRemoved,))
    if about is not None:
        _take_given(gathered, about)
    standing = Standing(tenant)
    for recorded in gathered.in_order():
        standing.evolve(recorded)
    standing.rows.position = until
    standing.changed()
    return standing


def tenants_life() -> tuple[type[Event], ...]:
    """What says whether a tenant is alive."""
    return (tenants.TenantCreated, tenants.TenantSuspended, tenants.TenantResumed, tenants.TenantDeleted)


def _take_person(gathered: "_Gathered", user: UserId) -> None:
    gathered.take(f"user:{user}", (*_LIVES, *_MEMBERSHIPS, *_ASSIGNMENTS))
    member_of = {each.group for each in gathered.events() if isinstance(each, groups.MemberAdded)}
    for group in sorted(member_of):
        gathered.take(f"group:{group}", (life.GroupDeleted, *_ASSIGNMENTS))
    for role in sorted({each.role for each in gathered.events() if isinstance(each, RoleAssigned)} - {OWNER}):
        gathered.take(f"role:{role}", (RoleDefined, RoleChanged, RoleRetired))


def _take_given(gathered: "_Gathered", event: Event) -> None:
    """What an event gives to others: a role, or the roles of a group."""
    given: set[RoleId] = set()
    match event:
        case groups.MemberAdded(group=group):
            gathered.take(f"group:{group}", (life.GroupDeleted, *_ASSIGNMENTS))
            given = {each.role for each in gathered.events() if isinstance(each, RoleAssigned)}
        case RoleAssigned(role=role) | RoleChanged(role=role):
            given = {role}
    for role in sorted(given - {OWNER}):
        gathered.take(f"role:{role}", (RoleDefined, RoleChanged, RoleRetired))


class _Gathered:
    """Events by position, however often they are found."""

    def __init__(self, history: History, tenant: TenantId, until: int) -> None:
        self._history = history
        self._tenant = tenant
        self._until = until
        self._found: dict[int, Recorded] = {}

    def take(self, tag: str, types: Iterable[type[Event]]) -> None:
        names = tuple(sorted(each.__name__ for each in types))
        query = Query(tags=(tag,), types=names, until=self._until)
        for recorded in pages(self._history, self._tenant, query):
            self._found[recorded.position] = recorded
            if len(self._found) > MOST_EVENTS:
                raise TooMuchAbout("too much was recorded about this credential's holder: ask of an earlier moment")

    def events(self) -> Iterator[Event]:
        return iter([each.event for each in self._found.values()])

    def in_order(self) -> list[Recorded]:
        return [self._found[position] for position in sorted(self._found)]


def pages(history: History, tenant: TenantId, query: Query, size: int = _PAGE) -> Iterator[Recorded]:
    """All that a query finds, oldest first, read in pages: memory doesn't grow with what there is."""
    while found := history.recorded(tenant, query, size):
        yield from found
        if len(found) < size:
            return
        query = msgspec.structs.replace(query, after=found[-1].position)


def permitted_by(standing: Standing, role: str) -> frozenset[str]:
    """What a role permits; nothing if there is none."""
    if role == OWNER:
        return TENANT_PERMISSIONS
    row = standing.rows.rows[VIEWS.roles.name].get(role)
    return frozenset(row.permissions) if row else frozenset()


def entries(history: History, tenant: TenantId, query: Query, size: int = 200) -> Iterator[Entry]:
    """As `pages`, with who and why."""
    while found := history.entries(tenant, query, size):
        yield from found
        if len(found) < size:
            return
        query = msgspec.structs.replace(query, after=found[-1].position)
