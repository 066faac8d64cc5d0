"""Directories (the feeds that provision over SCIM) and their tokens over REST."""

import os
from typing import Annotated, Final

from fastapi import Path

from api.acting import Acting, Reading
from api.bodies import (
    Answer,
    Body,
    Changed,
    Cursor,
    Limit,
    Name,
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
from domain.access import secrets
from domain.access.check import DIRECTORY_PERMISSIONS
from domain.access.handing import Given, Handing
from domain.directory import feeds
from domain.event import Code, Instant
from domain.ids import CredentialId, DirectoryId
from domain.ledger import Outcome
from domain.view import Versioned
from projections.directory import DIRECTORIES, TOKENS, DirectoryRow, TokenRow

MayReadDirectories = Annotated[Reading, may_read("directories:read")]
MayManageDirectories = Annotated[Acting, may("directories:manage")]
DirectoryInPath = Annotated[str, Path(pattern=r"^dir_[0-9a-f]{32}$")]
TokenInPath = Annotated[str, Path(pattern=r"^tok_[0-9a-f]{32}$")]

BEYOND_MAKER: Final = (
    "a directory's token reads and manages users and groups; ask somebody who may do all four of it for one"
)

routes = router("directories")


class NewDirectory(Body):
    name: ShortText
    provider: Name = "generic"


class DirectoryChanges(Body):
    name: ShortText


class Directory(Answer):
    id: str
    name: str | None
    provider: str
    scim_url: str
    created_at: str
    since: int


class Token(Answer):
    id: str
    issued_at: str
    expires_at: str | None = None
    since: int


class NewToken(Body):
    expires_at: Time | None = None


class IssuedToken(Answer):
    """The secret is told this once; only its hash is kept."""

    id: str
    token: str


class CreatedDirectory(Answer):
    """The bearer token is told this once; only its hash is kept."""

    id: str
    scim_url: str
    token_id: str
    token: str
    position: int


def _directory_body(acting: Acting, found: Versioned[DirectoryRow]) -> Directory:
    row = found.row
    return Directory(
        id=row.directory,
        name=acting.open("name", row.name),
        provider=row.provider,
        scim_url=acting.node.scim_url(row.directory),
        created_at=time_text(row.created_at),
        since=found.since,
    )


def _token_body(found: Versioned[TokenRow]) -> Token:
    row = found.row
    return Token(
        id=row.credential,
        issued_at=time_text(row.issued_at),
        expires_at=time_text_if(row.expires_at),
        since=found.since,
    )


@routes.post("/tenants/{tenant}/directories", status_code=201)
async def create_directory(body: NewDirectory, caller: MayManageDirectories) -> CreatedDirectory:
    await caller.hands_on(lambda: _token_until(None))
    directory = DirectoryId(caller.new_subject("dir"))
    token_id, token = CredentialId(caller.new_id("tok")), secrets.make("dir", caller.tenant, os.urandom(32))
    command = feeds.CreateDirectory(
        directory, caller.seal(directory, "name", body.name), Code(body.provider), token_id, secrets.digest(token)
    )
    outcome = await caller.execute(command)
    if outcome.repeated:
        raise problems.conflict(
            "the directory that `id` names was created by this request before, and its token told then;"
            " issue it another, and revoke the one that `token_id` names",
            **_first(outcome),
        )
    return CreatedDirectory(
        id=directory,
        scim_url=caller.node.scim_url(directory),
        token_id=token_id,
        token=token,
        position=outcome.position,
    )


@routes.get("/tenants/{tenant}/directories")
async def list_directories(reading: MayReadDirectories, limit: Limit = 100, cursor: Cursor = None) -> Page[Directory]:
    after = place_of(reading, cursor, "directories")
    found = await reading.node.views.page(DIRECTORIES, reading.tenant, reading.at, after=after, limit=limit + 1)
    return page_of(reading, found, limit, "directories", lambda each: _directory_body(reading, each))


@routes.get("/tenants/{tenant}/directories/{directory}")
async def read_directory(directory: DirectoryInPath, reading: MayReadDirectories) -> Directory:
    found = await _existing(directory, reading)
    reading.etag_of(found.since)
    return _directory_body(reading, found)


async def _existing(directory: str, reading: Reading) -> Versioned[DirectoryRow]:
    return await reading.must_get(DIRECTORIES, directory, "directory")


@routes.patch("/tenants/{tenant}/directories/{directory}")
async def rename_directory(directory: DirectoryInPath, body: DirectoryChanges, caller: MayManageDirectories) -> Changed:
    expected = caller.expects_unchanged(f"directory:{directory}", DIRECTORIES.follows)
    name = caller.seal(directory, "name", body.name)
    return changed(await caller.execute(feeds.RenameDirectory(DirectoryId(directory), name), expected))


@routes.delete("/tenants/{tenant}/directories/{directory}")
async def remove_directory(directory: DirectoryInPath, caller: MayManageDirectories) -> Changed:
    expected = caller.expects_unchanged(f"directory:{directory}", DIRECTORIES.follows)
    return changed(await caller.execute(feeds.RemoveDirectory(DirectoryId(directory)), expected))


@routes.get("/tenants/{tenant}/directories/{directory}/tokens")
async def list_tokens(
    directory: DirectoryInPath, reading: MayReadDirectories, limit: Limit = 100, cursor: Cursor = None
) -> Page[Token]:
    await _existing(directory, reading)
    of = f"tokens of {directory}"
    after = place_of(reading, cursor, of)
    found = await reading.node.views.find(
        TOKENS, reading.tenant, reading.at, "directory", directory, after=after, limit=limit + 1
    )
    return page_of(reading, found, limit, of, _token_body)


@routes.post("/tenants/{tenant}/directories/{directory}/tokens", status_code=201)
async def issue_token(directory: DirectoryInPath, body: NewToken, caller: MayManageDirectories) -> IssuedToken:
    """Another token beside those there are: rotate by issuing, changing over, and revoking the old one."""
    expires_at = None if body.expires_at is None else instant_of(body.expires_at)
    await caller.hands_on(lambda: _token_until(expires_at))
    token_id, token = CredentialId(caller.new_id("tok")), secrets.make("dir", caller.tenant, os.urandom(32))
    outcome = await caller.execute(
        feeds.IssueDirectoryToken(token_id, DirectoryId(directory), secrets.digest(token), expires_at)
    )
    if outcome.repeated:
        raise problems.conflict(
            "the token that `id` names was issued by this request before, and told then; revoke it, and issue another",
            id=_first(outcome)["token_id"],
        )
    return IssuedToken(id=token_id, token=token)


def _token_until(expires_at: Instant | None) -> Handing:
    """What whoever is told a directory's token gets."""
    return Handing((Given(DIRECTORY_PERMISSIONS, expires_at),), BEYOND_MAKER)


def _first(outcome: Outcome) -> dict[str, str]:
    """Which directory and token the first request of its kind made."""
    issued = next(each for each in outcome.events if isinstance(each, feeds.DirectoryTokenIssued))
    return {"id": issued.directory, "token_id": issued.credential}


@routes.delete("/tenants/{tenant}/directories/{directory}/tokens/{token}")
async def revoke_token(directory: DirectoryInPath, token: TokenInPath, caller: MayManageDirectories) -> Changed:
    command = feeds.RevokeDirectoryToken(CredentialId(token), DirectoryId(directory))
    return changed(await caller.execute(command))
