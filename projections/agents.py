"""Credentials as they are at a moment: API keys of tenants and users, and the operators' keys."""

from collections.abc import Sequence

import msgspec

from domain import agents
from domain.event import Event, Instant, Recorded, Sealed
from domain.ids import CredentialId, OperatorId
from domain.view import Close, View


class ApiKeyRow(msgspec.Struct, frozen=True):
    """A key that was issued; whether it opens anything also depends on its holder, and on the time."""

    credential: CredentialId
    holder: str
    secret_hash: bytes
    permissions: tuple[str, ...]
    issued_at: Instant
    changed_at: Instant
    name: Sealed | None = None
    expires_at: Instant | None = None
    former_hash: bytes | None = None
    former_until: Instant | None = None
    revoked_at: Instant | None = None


class ApiKeys(View[ApiKeyRow]):
    name = "api_keys"
    row = ApiKeyRow
    follows = (agents.ApiKeyIssued, agents.ApiKeyRotated, agents.ApiKeyRevoked)
    indexes = ("holder",)

    def concerns(self, event: Event) -> Sequence[str | Close]:
        return (event.credential,)  # type: ignore[attr-defined]

    def evolve(self, row: ApiKeyRow | None, recorded: Recorded) -> ApiKeyRow | None:
        at = recorded.instant
        match recorded.event:
            case agents.ApiKeyIssued(credential, holder, secret_hash, permissions, name, expires_at):
                return ApiKeyRow(credential, holder, secret_hash, permissions, at, at, name, expires_at)
            case agents.ApiKeyRotated(_, secret_hash, former_hash, former_until) if row:
                return msgspec.structs.replace(
                    row, secret_hash=secret_hash, former_hash=former_hash, former_until=former_until, changed_at=at
                )
            case agents.ApiKeyRevoked() if row:
                return msgspec.structs.replace(row, revoked_at=at, changed_at=at)
        return row


class OperatorKeyRow(msgspec.Struct, frozen=True):
    operator: OperatorId
    credential: CredentialId
    secret_hash: bytes
    issued_at: Instant


class OperatorKeys(View[OperatorKeyRow]):
    name = "operator_keys"
    row = OperatorKeyRow
    follows = (agents.OperatorKeyIssued, agents.OperatorKeyRevoked)

    def concerns(self, event: Event) -> Sequence[str | Close]:
        return (event.credential,)  # type: ignore[attr-defined]

    def evolve(self, row: OperatorKeyRow | None, recorded: Recorded) -> OperatorKeyRow | None:
        match recorded.event:
            case agents.OperatorKeyIssued(operator, credential, secret_hash):
                return OperatorKeyRow(operator, credential, secret_hash, recorded.instant)
        return None


API_KEYS, OPERATOR_KEYS = ApiKeys(), OperatorKeys()
