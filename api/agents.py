"""API keys over REST."""

import os
from typing import Annotated, Final

from fastapi import Path
from pydantic import Field

from api.acting import Acting, Reading
from api.bodies import (
    Answer,
    Body,
    Changed,
    Cursor,
    Limit,
    PermissionName,
    ShortText,
    Time,
    changed,
    instant_of,
    page_of,
    place_of,
    router,
    time_text,
    time_text_if,
)
from api.http import problems
from api.http.paging import Page
from api.permitted import may, may_read
from domain import agents
from domain.access import secrets
from domain.access.handing import Given, Handing
from domain.event import Code, Instant
from domain.ids import CredentialId, UserId, is_id
from domain.ledger import Outcome
from domain.view import Versioned
from projections.agents import API_KEYS, ApiKeyRow

MayReadKeys = Annotated[Reading, may_read("keys:read")]
MayManageKeys = Annotated[Acting, may("keys:manage")]
KeyInPath = Annotated[str, Path(pattern=r"^key_[0-9a-f]{32}$")]

BEYOND_ISSUER: Final = "a key can't have permissions that its issuer does not have; leave them out"
BEYOND_ROTATOR: Final = "a key can't be rotated by somebody who may not do all that it permits"

routes = router("agents")


class NewKey(Body):
    """`holder` is a user, whose roles then bound the key; without one the key is the tenant's own."""

    permissions: Annotated[list[PermissionName], Field(min_length=1, max_length=100)]
    holder: Annotated[str, Field(pattern=r"^usr_[0-9a-f]{32}$")] | None = None
    name: ShortText | None = None
    expires_at: Time | None = None


class Rotation(Body):
    overlap_seconds: Annotated[int, Field(ge=0, le=30 * 86_400)] = 3600
    """How long the secret before it still opens."""


class Key(Answer):
    id: str
    holder: str
    name: str | None = None
    permissions: list[str]
    issued_at: str
    changed_at: str
    expires_at: str | None = None
    former_until: str | None = None
    revoked_at: str | None = None
    since: int


class IssuedKey(Answer):
    """The secret is told this once; only its hash is kept."""

    id: str
    key: str
    position: int


def _key_body(acting: Acting, found: Versioned[ApiKeyRow]) -> Key:
    row = found.row
    return Key(
        id=row.credential,
        holder=row.holder,
        name=acting.open("name", row.name),
        permissions=list(row.permissions),
        issued_at=time_text(row.issued_at),
        changed_at=time_text(row.changed_at),
        expires_at=time_text_if(row.expires_at),
        former_until=time_text_if(row.former_until),
        revoked_at=time_text_if(row.revoked_at),
        since=found.since,
    )


@routes.post("/tenants/{tenant}/keys", status_code=201)
async def issue_key(body: NewKey, caller: MayManageKeys) -> IssuedKey:
    wanted = set(body.permissions)
    if wanted - caller.tenant_permissions:
        raise problems.unprocessable("permissions names one that an API key can't have; see the documentation of keys")
    holder = UserId(body.holder) if body.holder else None
    expires_at = None if body.expires_at is None else instant_of(body.expires_at)
    handing = Handing((Given(frozenset(wanted), expires_at),), BEYOND_ISSUER, holder=holder)
    await caller.hands_on(lambda: handing)
    credential, key = CredentialId(caller.new_subject("key")), secrets.make("key", caller.tenant, os.urandom(32))
    command = agents.IssueApiKey(
        credential,
        holder or caller.tenant,
        secrets.digest(key),
        tuple(Code(each) for each in sorted(wanted)),
        caller.seal_if(body.holder or credential, "name", body.name),
        expires_at,
    )
    outcome = await caller.execute(command)
    if outcome.repeated:
        raise problems.conflict(
            "the key that `id` names was issued by this request before, and its secret told then;"
            " rotate it to get another",
            id=_key_of(outcome),
        )
    return IssuedKey(id=credential, key=key, position=outcome.position)


@routes.get("/tenants/{tenant}/keys")
async def list_keys(reading: MayReadKeys, limit: Limit = 100, cursor: Cursor = None) -> Page[Key]:
    after = place_of(reading, cursor, "keys")
    found = await reading.node.views.page(API_KEYS, reading.tenant, reading.at, after=after, limit=limit + 1)
    return page_of(reading, found, limit, "keys", lambda each: _key_body(reading, each))


@routes.get("/tenants/{tenant}/keys/{key}")
async def read_key(key: KeyInPath, reading: MayReadKeys) -> Key:
    found = await reading.must_get(API_KEYS, key, "key")
    reading.etag_of(found.since)
    return _key_body(reading, found)


@routes.post("/tenants/{tenant}/keys/{key}/rotate")
async def rotate_key(key: KeyInPath, body: Rotation, caller: MayManageKeys) -> IssuedKey:
    """A new secret with the same permissions; the one before it opens until the overlap is over."""
    await caller.hands_on(lambda: _opened_by(caller, key))
    secret = secrets.make("key", caller.tenant, os.urandom(32))
    until = Instant(caller.node.clock() + body.overlap_seconds * 1_000_000)
    outcome = await caller.execute(agents.RotateApiKey(CredentialId(key), secrets.digest(secret), until))
    if outcome.repeated:
        raise problems.conflict(
            "the key that `id` names was rotated by this request before, and its secret told then; rotate it again with"
            " another Idempotency-Key",
            id=_key_of(outcome),
        )
    return IssuedKey(id=key, key=secret, position=outcome.position)


def _key_of(outcome: Outcome) -> str:
    """Which key the first request of its kind was about."""
    return next(
        each.credential for each in outcome.events if isinstance(each, (agents.ApiKeyIssued, agents.ApiKeyRotated))
    )


def _opened_by(caller: Acting, key: str) -> Handing:
    """What whoever is told the new secret gets."""
    row = caller.resident_row(API_KEYS, key)
    if row is None:
        return Handing((), BEYOND_ROTATOR)
    holder = UserId(row.holder) if is_id(row.holder, "usr") else None
    return Handing((Given(frozenset(row.permissions), row.expires_at),), BEYOND_ROTATOR, holder=holder)


@routes.delete("/tenants/{tenant}/keys/{key}")
async def revoke_key(key: KeyInPath, caller: MayManageKeys) -> Changed:
    return changed(await caller.execute(agents.RevokeApiKey(CredentialId(key))))
