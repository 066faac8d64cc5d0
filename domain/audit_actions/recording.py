"""A product's own events: who did which action to what, as the product tells it; each is recorded once."""

from typing import Final, assert_never

from domain.boundary import Boundary, tagged
from domain.command import Command, Decider, Known
from domain.directory.life import Lives, life_of_user
from domain.event import Code, Event, Instant, Recorded, Sealed
from domain.ids import KINDS, UserId, is_id, kind_of

MOST_AT_ONCE: Final = 500
MOST_TARGETS: Final = 4
"""An event has 16 tags: five say which call recorded it, four are for a chain of delegation, seven are its own."""


class ActionRecorded(Event):
    """`actor` and `targets` are `type/id`. What the schema calls personal is sealed in `personal`, as JSON; the rest
    stands in `metadata`. `called` has the names of actor and targets, in this order, as JSON.
    """

    names = (("action", "action"), ("action_id", "id"))
    action: Code
    version: int
    id: Code
    """The product's own: it is recorded once in a tenant."""
    occurred_at: Instant
    actor: Code
    targets: tuple[Code, ...]
    schema_position: int
    """Where in its history the schema was registered that it was checked by."""
    shared: bool
    """Whether that is the deployment's history, and not the tenant's own."""
    metadata: Code | None = None
    personal: Sealed | None = None
    called: Sealed | None = None

    def subject_tags(self) -> list[str]:
        acted_on = (tag_of("acted_on", each) for each in self.targets)
        return [*super().subject_tags(), tag_of("acted", self.actor), *acted_on]


def tag_of(kind: str, party: str) -> str:
    """The tag of an actor or target: what has an id of ours is found by it like everywhere else."""
    id = party.partition("/")[2]
    return f"{kind_of(id)}:{id}" if is_id(id, *KINDS) else f"{kind}:{party}"


class RecordActions(Command):
    """All of them at once; those whose ids were recorded before are passed over. `users` are those whose keys seal."""

    permission = "audit:record"
    ids: tuple[Code, ...]
    users: tuple[UserId, ...]
    actions: tuple[ActionRecorded, ...] = ()

    def boundary(self) -> Boundary:
        before = [tagged(f"action_id:{id}", ActionRecorded) for id in self.ids]
        lives = [life_of_user(user) for user in self.users]
        return Boundary(tuple(item for each in (*before, *lives) for item in each.items))


RecordingCommand = RecordActions


class KnownActions(Known):
    """Which ids were recorded, and whose keys are still there."""

    def __init__(self, now: Instant) -> None:
        super().__init__(now)
        self.lives = Lives()
        self.recorded: set[str] = set()

    def evolve(self, recorded: Recorded) -> None:
        self.lives.evolve(recorded)
        match recorded.event:
            case ActionRecorded(id=id):
                self.recorded.add(id)

    def may_act(self, party: str) -> bool:
        """Whether what is said of a person can still be erased with the person."""
        id = party.partition("/")[2]
        return not is_id(id, "usr") or self.lives.users.get(UserId(id), "erased") != "erased"


def decide(command: RecordingCommand, known: KnownActions) -> list[Event]:
    match command:
        case RecordActions(_, _, actions):
            events: list[Event] = []
            for each in actions:
                if each.id not in known.recorded and known.may_act(each.actor):
                    known.recorded.add(each.id)
                    events.append(each)
            return events
        case _:
            assert_never(command)


decider = Decider(commands=(RecordActions,), begin=KnownActions, decide=decide)
