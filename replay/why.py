"""Why: a recorded decision taken again, in the state and by the rules of then, and the path that led to its answer."""

from collections.abc import Iterator, Sequence
from typing import Final, Literal

import msgspec

from domain.access.check import ONLY_OPERATORS, Decision
from domain.access.credentials import Credential
from domain.access.owners import OWNER
from domain.event import Entry, Event, Instant
from domain.ids import TenantId, UserId, is_id
from domain.ledger import CommandRefused, History, Query, RefusalsSummarised
from projections.directory import MEMBERS
from replay.decided import Decided, by_the_node, decided, in_the_deployment, whose
from replay.handing_on import objection_to
from replay.standing import PEOPLE, VIEWS, Standing, standing_of

LIFE: Final = {
    "the tenant does not exist": ("none", "deleted"),
    "the tenant is suspended; resume it first": ("suspended",),
}
"""The rules that depend on nothing but the tenant's life, by what they say."""
Verdict = Literal["same", "different", "undecidable"]


class Step(msgspec.Struct, frozen=True):
    """A link of the path: what held, since which event, of whose history."""

    what: str
    tenant: TenantId
    entry: Entry | None


class Why(msgspec.Struct, frozen=True):
    """`verdict` compares what was recorded with what is decided `again` in the state of then."""

    entry: Entry
    recorded: Decided
    verdict: Verdict
    again: Decision | None
    missing: tuple[str, ...]
    """What is needed to decide again and was not recorded, or is erased."""
    path: tuple[Step, ...]
    tenant: TenantId
    """In whose history the credential is."""
    position: int
    """The state of that history in which it was decided again."""


def why(history: History, tenant: TenantId, position: int) -> Why:
    """Raises KeyError beyond the head, and TooMuchAbout."""
    found = history.entries(tenant, Query(after=position - 1, until=position), 1)
    if not found:
        raise KeyError(position)
    entry = found[0]
    recorded, owner = decided(entry), whose(entry)
    known = min(recorded.position, position - 1)
    if owner != tenant:
        known = history.position_at(owner, in_the_deployment(recorded.at, entry.instant))
    if by_the_node(entry):
        return _by_the_node(entry, recorded)
    if entry.meta.credential_id is None:
        nobody = "no credential was recorded: whoever wrote this was not asked for one"
        return Why(entry, recorded, "undecidable", None, (nobody,), (), owner, known)
    about = entry.event if owner == tenant else None
    standing = standing_of(history, owner, entry.meta.credential_id, known, about)
    again = standing.judge(entry.meta.credential_id, recorded.permission, recorded.at)
    path = tuple(_path(history, standing, entry, recorded, again))
    verdict, again, missing = _compared(history, standing, entry, recorded, again)
    return Why(entry, recorded, verdict, again, missing, path, owner, known)


def _by_the_node(entry: Entry, recorded: Decided) -> Why:
    again = Decision(True, "the node does this by itself, for nobody", recorded.policies)
    return Why(entry, recorded, "same", again, (), (), entry.tenant, recorded.position)


def _compared(
    history: History, standing: Standing, entry: Entry, recorded: Decided, again: Decision
) -> tuple[Verdict, Decision, tuple[str, ...]]:
    """Whether it is the answer of then; with what is missing to say so."""
    match entry.event:
        case RefusalsSummarised(count=count):
            return "undecidable", again, (f"only the number of these refusals ({count}) was recorded: ask why of one",)
        case CommandRefused(kind="NotPermitted", reason=reason):
            if not again.allowed:
                return "same", again, ()
            found = standing.credential(entry.meta.credential_id or "")
            if reason == ONLY_OPERATORS and found is not None and not found.subject.operator:
                return "same", Decision(False, ONLY_OPERATORS), ()
            return "undecidable", again, ("what was to be handed on is not recorded with a refusal of it",)
        case CommandRefused(command=command, reason=reason):
            return _by_rules(history, entry, again, command, reason)
    if again.allowed:
        credential, permission = entry.meta.credential_id or "", recorded.permission
        because = objection_to(entry.event, standing, standing, credential, permission, recorded.at)
        if because is not None:
            return "different", Decision(False, because), ()
    return _same(recorded, again), again, ()


def _same(recorded: Decided, again: Decision) -> Verdict:
    return "same" if again.allowed and set(recorded.policies) == set(again.policies) else "different"


def _by_rules(
    history: History, entry: Entry, again: Decision, command: str, reason: str
) -> tuple[Verdict, Decision, tuple[str, ...]]:
    """A refusal by the rules of a capability, after access was allowed."""
    if not again.allowed:
        return "different", again, ()
    if reason in LIFE:
        life = standing_of(history, entry.tenant, "", entry.position - 1).life
        if life in LIFE[reason]:
            return "same", Decision(False, reason), ()
        return "different", again, ()
    missing = f"what {command} asked for is not recorded with its refusal, so the rule can't be asked again"
    return "undecidable", again, (missing,)


def _path(history: History, standing: Standing, entry: Entry, recorded: Decided, again: Decision) -> Iterator[Step]:
    found = standing.credential(entry.meta.credential_id or "")
    if found is None:
        yield Step("there is no such credential", standing.tenant, None)
        return
    yield from path_of(history, standing, found, again.policies)


def path_of(history: History, standing: Standing, found: Credential, policies: Sequence[str]) -> Iterator[Step]:
    """What a credential's standing rests on, link by link: the key, its holder, and the roles that count."""
    yield from _of_credential(history, standing, found)
    if found.subject.roles is None:
        return
    user = UserId(found.actor_id)
    row = standing.rows.rows[PEOPLE.name].get(user)
    there = "is active" if row and row.active else "is not active"
    yield _step(history, standing, f"its holder {user} {there}", standing.rows.since[PEOPLE.name].get(user))
    groups = [each.group for _, each in standing.rows.find(MEMBERS, "member", user)]
    for subject in (user, *sorted(groups)):
        for key, held in standing.rows.find(VIEWS.assignments, "subject", subject):
            if not policies or held.role in policies:
                yield from _of_role(history, standing, user, subject, key, held.role)


def _of_credential(history: History, standing: Standing, found: Credential) -> Iterator[Step]:
    said = {
        "ApiKeyIssued": "the key was issued",
        "ApiKeyRotated": "the key was given another secret",
        "ApiKeyRevoked": "the key was revoked",
        "OperatorKeyIssued": "the operator's key was issued",
        "OperatorKeyRevoked": "the operator's key was revoked",
        "DirectoryTokenIssued": "the directory's token was issued",
        "DirectoryTokenRevoked": "the directory's token was revoked",
    }
    query = Query((f"credential:{found.id}",), tuple(said), until=standing.rows.position)
    for entry in history.entries(standing.tenant, query, 100):
        yield Step(said[type(entry.event).__name__] + _with(entry.event), standing.tenant, entry)


def _with(event: Event) -> str:
    permissions = getattr(event, "permissions", None)
    return "" if permissions is None else f", with {', '.join(permissions)}"


def _of_role(history: History, standing: Standing, user: UserId, subject: str, key: str, role: str) -> Iterator[Step]:
    since = standing.rows.since
    yield _step(history, standing, f"{role} was assigned to {subject}", since[VIEWS.assignments.name].get(key))
    if not is_id(subject, "usr"):
        member = since[MEMBERS.name].get(f"{subject}/{user}")
        yield _step(history, standing, f"{user} became a member of {subject}", member)
    if role == OWNER:
        yield Step("owners may do everything in their tenant", standing.tenant, None)
        return
    row = standing.rows.rows[VIEWS.roles.name].get(role)
    permitted = ", ".join(row.permissions) if row else "nothing"
    yield _step(history, standing, f"{role} permits {permitted}", since[VIEWS.roles.name].get(role))


def _step(history: History, standing: Standing, what: str, position: int | None) -> Step:
    found = history.entries(standing.tenant, Query(after=position - 1, until=position), 1) if position else ()
    return Step(what, standing.tenant, found[0] if found else None)


class Would(msgspec.Struct, frozen=True):
    """What a credential would be answered at a moment, and what that rests on."""

    decision: Decision
    path: tuple[Step, ...]
    tenant: TenantId
    position: int


def would(history: History, tenant: TenantId, credential: str, permission: str, position: int, at: Instant) -> Would:
    """Whether a credential of this history permitted something at a moment. Raises TooMuchAbout."""
    standing = standing_of(history, tenant, credential, position)
    decision = standing.judge(credential, permission, at)
    found = standing.credential(credential)
    path = tuple(path_of(history, standing, found, decision.policies)) if found else ()
    return Would(decision, path, tenant, position)
