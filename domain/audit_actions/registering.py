"""An action is registered with the schema of its metadata, in versions, and retired."""

from typing import Final, assert_never

import msgspec

from domain.audit_actions.schemas import must_be_growth, normalised
from domain.boundary import Boundary, Tally, tagged
from domain.command import Command, Decider, Known, Missing, Refused
from domain.event import Code, Event, Instant, Recorded, Sealed
from domain.ids import TenantId

MOST_ACTIONS: Final = 1_000
MOST_VERSIONS: Final = 1_000


class AuditActionRegistered(Event):
    """Events of this action and version may be recorded; `schema` is JSON Schema of their metadata.

    Again for the same version: its schema has grown, and all that was valid still is.
    """

    names = (("action_schema", "action"),)
    tenant: TenantId
    action: Code
    version: int
    schema: Code
    description: Sealed | None = None

    def subject_tags(self) -> list[str]:
        return [*super().subject_tags(), f"action_version:{key_of(self.action, self.version)}"]


class AuditActionRetired(Event):
    """Nothing more is recorded of it, in any version."""

    names = (("action_schema", "action"),)
    tenant: TenantId
    action: Code


class RegisterAuditAction(Command):
    """A version that exists may grow; otherwise it must be the one after the last."""

    permission = "actions:manage"
    tenant: TenantId
    action: Code
    version: int
    schema: Code
    description: Sealed | None = None

    def boundary(self) -> Boundary:
        return version_of(self.action, self.version) | Boundary(tallies=(every_action_of(self.tenant),))


class RetireAuditAction(Command):
    permission = "actions:manage"
    tenant: TenantId
    action: Code

    def boundary(self) -> Boundary:
        last = tagged(f"action_schema:{self.action}", AuditActionRegistered, AuditActionRetired)
        return last | Boundary(tallies=(every_action_of(self.tenant),))


RegisteringCommand = RegisterAuditAction | RetireAuditAction


def key_of(action: str, version: int) -> str:
    """A version of an action, as views and tags name it."""
    return f"{action}@{version:04d}"


def version_of(action: str, version: int) -> Boundary:
    """The schema of a version."""
    return tagged(f"action_version:{key_of(action, version)}", AuditActionRegistered)


class Versions(msgspec.Struct):
    """The last version of an action, and whether it is retired."""

    last: int
    retired: bool = False


def _note_action(actions: dict[str, Versions], recorded: Recorded) -> None:
    match recorded.event:
        case AuditActionRegistered(action=action, version=version):
            before = actions.get(action, Versions(0))
            actions[action] = Versions(max(before.last, version))
        case AuditActionRetired(action=action):
            actions[action] = Versions(actions[action].last, retired=True)


def every_action_of(tenant: TenantId) -> Tally:
    """The actions that a tenant has registered, with their last versions."""
    types = (AuditActionRegistered, AuditActionRetired)
    return Tally("actions", f"tenant:{tenant}", types, dict, _note_action)


class KnownAction(Known):
    """A version of an action, and which actions there are."""

    def __init__(self, now: Instant) -> None:
        super().__init__(now)
        self.registered: AuditActionRegistered | None = None

    def evolve(self, recorded: Recorded) -> None:
        match recorded.event:
            case AuditActionRegistered() as registered:
                self.registered = registered


def decide(command: RegisteringCommand, known: KnownAction) -> list[Event]:
    actions: dict[str, Versions] = known.tallies["actions"]
    match command:
        case RegisterAuditAction():
            return _registered(command, known, actions)
        case RetireAuditAction(tenant, action):
            if action not in actions:
                raise Missing("the action is not registered here")
            return [] if actions[action].retired else [AuditActionRetired(tenant, action)]
        case _:
            assert_never(command)


def _registered(command: RegisterAuditAction, known: KnownAction, actions: dict[str, Versions]) -> list[Event]:
    """Retired versions stay closed: whoever takes an action up again registers the next one."""
    versions = actions.get(command.action, Versions(0))
    if not versions.last and len(actions) >= MOST_ACTIONS:
        raise Refused(f"there can be {MOST_ACTIONS} actions at most")
    schema = normalised(command.schema)
    grows = 0 < command.version <= versions.last and not versions.retired
    if not grows and command.version != versions.last + 1:
        raise Refused(f"the version must be {versions.last + 1}, the one after the last")
    if command.version > MOST_VERSIONS:
        raise Refused(f"an action can have {MOST_VERSIONS} versions at most; register another")
    text = Code(msgspec.json.encode(schema).decode())
    before = known.registered if grows else None
    if before is not None:
        same = (
            command.description is None
            if before.description is None
            else before.description.same_as(command.description)
        )
        if same and before.schema == text:
            return []
        must_be_growth(normalised(before.schema), schema)
    return [AuditActionRegistered(command.tenant, command.action, command.version, text, command.description)]


decider = Decider(commands=(RegisterAuditAction, RetireAuditAction), begin=KnownAction, decide=decide)
