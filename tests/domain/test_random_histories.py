"""Whatever is asked in whatever order, what happens is what a simple model says, and the invariants hold."""

import asyncio
import copy
from typing import Any

import msgspec
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from domain.access.owners import OWNER
from domain.command import Command, Refused
from domain.directory.life import SubjectErased
from domain.directory.unique import Unique
from domain.directory.users import Profile
from domain.event import Recorded
from domain.ids import Handle
from domain.ledger import Outcome
from domain.tenants import CreateTenant, ResumeTenant, SuspendTenant
from domain.view import Rows
from projections.access import ASSIGNMENTS, ROLES
from projections.agents import API_KEYS
from projections.directory import GROUPS, MEMBERS, USERS
from projections.every import EVERY_VIEW
from projections.flags import FLAGS, TARGETS
from projections.tenants import TENANTS
from tests.domain.model import GONE, Model
from tests.domain.people import PLANET_EXPRESS, sealed
from tests.domain.wishes import FURNISHED, wishes
from tests.domain.world import World


class RandomHistories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.world = self.runner.run(started())
        self.model = Model()
        self.rows = Rows(EVERY_VIEW)
        self.had_owner = False
        self.handles: dict[str, Handle] = {}
        """As the keyring keeps them: what stands for a value now, until it is erased."""

    @initialize()
    def create(self) -> None:
        self.runner.run(self.world.ask(CreateTenant(PLANET_EXPRESS, sealed(PLANET_EXPRESS, "Planet Express"))))
        self.ask_at_once(list(FURNISHED))

    @rule(seconds=st.integers(0, 2), wishes=st.lists(wishes(), min_size=8, max_size=12), suspended=st.integers(0, 7))
    def ask_a_little_later(self, seconds: int, wishes: list[Command], suspended: int) -> None:
        """Now and then while the tenant is suspended."""
        self.world.now += seconds * 1_000_000
        if suspended == 1:
            wishes = [SuspendTenant(PLANET_EXPRESS), *wishes[:2], ResumeTenant(PLANET_EXPRESS)]
        self.ask_at_once(wishes)

    def ask_at_once(self, wishes: list[Command]) -> None:
        """One batch or few: decided one after another, made durable together."""
        commands = [self.with_handles(wish) for wish in wishes]
        outcomes = self.runner.run(self.ask_all(commands))
        for command, outcome in zip(commands, outcomes, strict=True):
            self.compare(command, outcome)
        self.follow()

    async def ask_all(self, commands: list[Command]) -> list[Outcome | BaseException]:
        return await asyncio.gather(*(self.world.ask(command) for command in commands), return_exceptions=True)

    def with_handles(self, wish: Command) -> Command:
        """The wish with what stands for its values now; a value that was erased gets another handle."""
        changed = {}
        for name in wish.__struct_fields__:
            unique = getattr(wish, name)
            if isinstance(unique, Unique):
                handle = self.handles.setdefault(unique.handle, Handle(f"{unique.handle}_{len(self.handles)}"))
                changed[name] = Unique(unique.value, handle)
        return msgspec.structs.replace(wish, **changed)

    def compare(self, command: Command, outcome: Outcome | BaseException) -> None:
        before = copy.deepcopy(self.model)
        expected = refusal_of(self.model, command, self.world.now)
        if expected is not None:
            self.model = before
            assert type(outcome) is expected, (command, outcome)
            return
        assert isinstance(outcome, Outcome), (command, outcome)
        assert bool(outcome.events) == (self.model != before), (command, outcome)
        for event in outcome.events:
            if isinstance(event, SubjectErased):
                self.handles = {
                    value: handle if handle not in event.handles else Handle(f"{handle}x")
                    for value, handle in self.handles.items()
                }

    def follow(self) -> None:
        """Fold what is new; positions have no gaps, and time does not go back."""
        entries = self.world.entries(after=self.rows.position)
        assert [each.position for each in entries] == list(
            range(self.rows.position + 1, self.rows.position + 1 + len(entries))
        )
        assert [each.instant for each in entries] == sorted(each.instant for each in entries)
        for each in entries:
            self.rows.evolve(Recorded(each.tenant, each.position, each.instant, each.event))

    @invariant()
    def names_and_external_ids_are_one_persons(self) -> None:
        for column in ("user_name", "external_id"):
            rows = self.all(USERS).values()
            handles = [getattr(row, f"{column}_handle") for row in rows if getattr(row, column)]
            assert len(handles) == len(set(handles))
            values = [self.value_of(handle) for handle in handles]
            assert len(values) == len(set(values))
            assert not set(handles) & self.model.erased_handles

    @invariant()
    def an_owner_once_there_is_one_there_always_is(self) -> None:
        users = self.all(USERS)
        owners = [row.subject for row in self.all(ASSIGNMENTS).values() if row.role == OWNER]
        active = [owner for owner in owners if users[owner].active]
        self.had_owner = self.had_owner or bool(active)
        assert bool(active) is self.had_owner

    @invariant()
    def nothing_hangs_on_what_is_gone(self) -> None:
        users, groups, roles = self.all(USERS), self.all(GROUPS), self.all(ROLES)
        for row in self.all(MEMBERS).values():
            assert row.group in groups
            assert row.member in users
        for row in self.all(ASSIGNMENTS).values():
            assert row.role in roles or row.role == OWNER
            assert row.subject in users or row.subject in groups

    @invariant()
    def the_views_are_the_model(self) -> None:
        model = self.model
        tenants = {row.life for row in self.all(TENANTS).values()}
        assert tenants == {"suspended" if model.suspended else "active"}
        assert {key: as_user(row) for key, row in self.all(USERS).items()} == model.living()
        assert {key: row.display_name for key, row in self.all(GROUPS).items()} == {
            group: state["name"] for group, state in model.groups.items() if state != GONE
        }
        assert {(row.group, row.member) for row in self.all(MEMBERS).values()} == model.members
        roles = {key: {"name": row.name, "permissions": row.permissions} for key, row in self.all(ROLES).items()}
        assert roles == {role: state for role, state in model.roles.items() if state != GONE}
        assert {(row.role, row.subject): row.expires_at for row in self.all(ASSIGNMENTS).values()} == model.held
        assert {key: as_key(row) for key, row in self.all(API_KEYS).items()} == model.keys
        assert {key: as_flag(row) for key, row in self.all(FLAGS).items()} == {
            flag: state for flag, state in model.flags.items() if state != GONE
        }
        assert {(row.flag, row.subject): row.variant for row in self.all(TARGETS).values()} == model.targets

    def all(self, view: Any) -> dict[str, Any]:
        return self.rows.rows[view.name]

    def value_of(self, handle: str) -> str:
        """The value that a handle stands for, by how with_handles made it."""
        return handle.rstrip("x").rpartition("_")[0]

    def teardown(self) -> None:
        self.runner.run(self.world.sequencer.stop())
        self.runner.close()
        self.world.database.close()


async def started() -> World:
    world = World()
    world.sequencer.start()
    return world


def refusal_of(model: Model, command: Command, now: int) -> type[Refused] | None:
    """What the model says to a command; None if it follows it."""
    try:
        model.apply(command, now)
    except Refused as refusal:
        return type(refusal)
    return None


def as_user(row: Any) -> dict[str, Any]:
    return {
        "name": Unique(row.user_name, row.user_name_handle),
        "external_id": Unique(row.external_id, row.external_id_handle) if row.external_id else None,
        "profile": Profile(row.display_name, row.given_name, row.family_name, row.email, row.attributes),
        "active": row.active,
    }


def as_key(row: Any) -> dict[str, Any]:
    return {"holder": row.holder, "hash": row.secret_hash, "revoked": row.revoked_at is not None}


def as_flag(row: Any) -> dict[str, Any]:
    return {"key": row.key, "default": row.default_variant, "on": row.on}


TestRandomHistories = RandomHistories.TestCase
TestRandomHistories.settings = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=40,
    stateful_step_count=12,
    phases=(Phase.generate,),  # making a failure shorter takes minutes; add Phase.shrink to look into one
    suppress_health_check=list(HealthCheck),
)
