"""Credentials of what acts without a person at the keyboard: API keys of a tenant or a user, and operators' keys."""

from typing import assert_never

from domain.boundary import Boundary, about
from domain.command import Command, Decider, Known, Missing, Refused, Taken
from domain.directory.life import Lives, life_of_user
from domain.event import Code, Event, Instant, Recorded, Sealed
from domain.ids import CredentialId, OperatorId, TenantId, UserId, is_id


class ApiKeyIssued(Event):
    ends_with = "holder"
    credential: CredentialId
    holder: TenantId | UserId
    secret_hash: bytes
    permissions: tuple[Code, ...]
    name: Sealed | None = None
    expires_at: Instant | None = None


class ApiKeyRotated(Event):
    """A new secret; the one before it opens until `former_until`."""

    credential: CredentialId
    secret_hash: bytes
    former_hash: bytes
    former_until: Instant


class ApiKeyRevoked(Event):
    credential: CredentialId


class OperatorKeyIssued(Event):
    """In the deployment's history: an operator's key."""

    operator: OperatorId
    credential: CredentialId
    secret_hash: bytes


class OperatorKeyRevoked(Event):
    operator: OperatorId
    credential: CredentialId


class IssueApiKey(Command):
    permission = "keys:manage"
    credential: CredentialId
    holder: TenantId | UserId
    secret_hash: bytes
    permissions: tuple[Code, ...]
    name: Sealed | None = None
    expires_at: Instant | None = None

    def boundary(self) -> Boundary:
        wanted = life_of_key(self.credential)
        return wanted | life_of_user(UserId(self.holder)) if is_id(self.holder, "usr") else wanted


class RotateApiKey(Command):
    permission = "keys:manage"
    credential: CredentialId
    secret_hash: bytes
    former_until: Instant

    def boundary(self) -> Boundary:
        return life_of_key(self.credential)

    def then(self, known: "KnownKey") -> Boundary:
        holder = known.person()
        return life_of_user(holder) if holder and holder not in known.lives.users else Boundary()


class RevokeApiKey(Command):
    permission = "keys:manage"
    credential: CredentialId

    def boundary(self) -> Boundary:
        return life_of_key(self.credential)


class RotateOperatorKey(Command):
    """Issue an operator's key; the ones before it open nothing any more."""

    permission = "operators:manage"
    operator: OperatorId
    credential: CredentialId
    secret_hash: bytes

    def boundary(self) -> Boundary:
        return about(self.operator, OperatorKeyIssued, OperatorKeyRevoked)


AgentsCommand = IssueApiKey | RotateApiKey | RevokeApiKey | RotateOperatorKey


def life_of_key(credential: CredentialId) -> Boundary:
    """Whether a key opens anything, and with which secret."""
    return about(credential, ApiKeyIssued, ApiKeyRotated, ApiKeyRevoked)


class KnownKey(Known):
    """A key's life, its holder's, and an operator's key."""

    def __init__(self, now: Instant) -> None:
        super().__init__(now)
        self.lives = Lives()
        self.issued: ApiKeyIssued | None = None
        self.secret_hash = b""
        self.revoked = False
        self.operators: CredentialId | None = None

    def evolve(self, recorded: Recorded) -> None:
        self.lives.evolve(recorded)
        match recorded.event:
            case ApiKeyIssued() as issued:
                self.issued, self.secret_hash = issued, issued.secret_hash
            case ApiKeyRotated(secret_hash=secret_hash):
                self.secret_hash = secret_hash
            case ApiKeyRevoked():
                self.revoked = True
            case OperatorKeyIssued(credential=credential):
                self.operators = credential

    def person(self) -> UserId | None:
        """Whose key it is, if it is a person's."""
        return UserId(self.issued.holder) if self.issued and is_id(self.issued.holder, "usr") else None

    def alive(self) -> None:
        if self.issued is None or self.revoked:
            raise Missing("the key does not exist, or is revoked")
        holder = self.person()
        if holder and not self.lives.user_exists(holder):
            raise Missing("the key has ended with its holder")
        if self.issued.expires_at is not None and self.issued.expires_at <= self.now:
            raise Refused("the key has expired; issue another")


def decide(command: AgentsCommand, known: KnownKey) -> list[Event]:
    match command:
        case IssueApiKey(credential, holder, secret_hash, permissions, name, expires_at):
            if known.issued is not None:
                raise Taken("the key exists already")
            if is_id(holder, "usr") and known.lives.users.get(UserId(holder)) != "active":
                raise Refused("the user does not exist, or is not active; only an active user can hold a key")
            if expires_at is not None and expires_at <= known.now:
                raise Refused("the key's end is not in the future")
            return [ApiKeyIssued(credential, holder, secret_hash, permissions, name, expires_at)]
        case RotateApiKey(credential, secret_hash, former_until):
            known.alive()
            if known.secret_hash == secret_hash:
                return []
            return [ApiKeyRotated(credential, secret_hash, known.secret_hash, max(former_until, known.now))]
        case RevokeApiKey(credential):
            if known.issued is None:
                raise Missing("the key does not exist")
            return [] if known.revoked else [ApiKeyRevoked(credential)]
        case RotateOperatorKey(operator, credential, secret_hash):
            former = known.operators
            if former == credential:
                raise Taken("the key exists already; make one with a new id")
            revoked: list[Event] = [OperatorKeyRevoked(operator, former)] if former else []
            return [*revoked, OperatorKeyIssued(operator, credential, secret_hash)]
        case _:
            assert_never(command)


decider = Decider(
    commands=(IssueApiKey, RotateApiKey, RevokeApiKey, RotateOperatorKey),
    begin=KnownKey,
    decide=decide,
)
