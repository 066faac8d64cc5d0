"""Users over REST."""

import json
import unicodedata
from typing import Annotated, Any

import msgspec
from fastapi import Path, Query

from api.acting import Acting, Reading
from api.bodies import Answer, Body, Changed, Cursor, Limit, ShortText, changed, page_of, place_of, router, time_text
from api.http import problems
from api.http.paging import Page
from api.permitted import may, may_read
from domain.boundary import Expectation
from domain.directory import users
from domain.directory.users import Profile
from domain.ids import UserId
from domain.ledger import Outcome, VersionChanged
from domain.view import Versioned
from projections.directory import USERS, UserRow

MayReadUsers = Annotated[Reading, may_read("users:read")]
MayManageUsers = Annotated[Acting, may("users:manage")]
MayEraseUsers = Annotated[Acting, may("users:erase")]
UserInPath = Annotated[str, Path(pattern=r"^usr_[0-9a-f]{32}$")]
FIELDS = ("display_name", "given_name", "family_name", "email")
MOST_ATTRIBUTES = 32_768
MOST_TRIES = 5

routes = router("users")


class NewUser(Body):
    user_name: ShortText
    display_name: ShortText | None = None
    given_name: ShortText | None = None
    family_name: ShortText | None = None
    email: ShortText | None = None
    attributes: dict[str, Any] | None = None
    active: bool = True


class UserChanges(Body):
    """What is left out stays; null takes a value away."""

    user_name: ShortText | None = None
    display_name: ShortText | None = None
    given_name: ShortText | None = None
    family_name: ShortText | None = None
    email: ShortText | None = None
    attributes: dict[str, Any] | None = None
    active: bool | None = None


class User(Answer):
    """`erased` says that the person's keys are destroyed; then nothing personal is told any more."""

    id: str
    user_name: str | None
    display_name: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    email: str | None = None
    attributes: dict[str, Any] | None = None
    active: bool
    erased: bool = False
    directory: str | None = None
    external_id: str | None = None
    created_at: str
    changed_at: str
    since: int


def compared(user_name: str) -> str:
    """The form in which two user names are the same: NFKC, case folded."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", user_name).casefold())


def user_body(acting: Acting, found: Versioned[UserRow]) -> User:
    row = found.row
    user_name = acting.open("user_name", row.user_name)
    attributes = acting.open("attributes", row.attributes)
    return User(
        id=row.user,
        user_name=user_name,
        **{field: acting.open(field, getattr(row, field)) for field in FIELDS},
        attributes=json.loads(attributes) if attributes else None,
        active=row.active,
        erased=user_name is None,
        directory=row.directory,
        external_id=acting.open("external_id", row.external_id),
        created_at=time_text(row.created_at),
        changed_at=time_text(row.changed_at),
        since=found.since,
    )


@routes.post("/tenants/{tenant}/users", status_code=201)
async def provision_user(body: NewUser, caller: MayManageUsers) -> User:
    user = UserId(caller.new_subject("usr"))
    command = users.ProvisionUser(
        user,
        caller.unique(user, "user_name", body.user_name, compared(body.user_name)),
        Profile(
            **{field: caller.seal_if(user, field, getattr(body, field)) for field in FIELDS},
            attributes=_sealed_attributes(caller, user, body.attributes),
        ),
        active=body.active,
    )
    return _provisioned(caller, await caller.execute(command))


def _provisioned(caller: Acting, outcome: Outcome) -> User:
    row = caller.row_of(USERS, outcome)
    caller.etag_of(outcome.position)
    return user_body(caller, Versioned(row.user, outcome.position, row))


def _sealed_attributes(caller: Acting, user: str, attributes: dict[str, Any] | None) -> Any:
    if not attributes:
        return None
    text = json.dumps(attributes, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    if len(text.encode()) > MOST_ATTRIBUTES:
        raise problems.unprocessable(f"attributes take more than {MOST_ATTRIBUTES} bytes: send less")
    return caller.seal(user, "attributes", text)


@routes.get("/tenants/{tenant}/users")
async def list_users(
    reading: MayReadUsers,
    limit: Limit = 100,
    cursor: Cursor = None,
    user_name: Annotated[str | None, Query(max_length=256, description="Only the user with this name.")] = None,
) -> Page[User]:
    after = place_of(reading, cursor, "users")
    if user_name is None:
        found = await reading.node.views.page(USERS, reading.tenant, reading.at, after=after, limit=limit + 1)
    else:
        handle = reading.node.keyring.find_handle(reading.tenant, "user_name", compared(user_name))
        found = (
            await reading.node.views.find(
                USERS, reading.tenant, reading.at, "user_name_handle", handle, after=after, limit=limit + 1
            )
            if handle
            else []
        )
    return page_of(reading, found, limit, "users", lambda each: user_body(reading, each))


@routes.get("/tenants/{tenant}/users/{user}")
async def read_user(user: UserInPath, reading: MayReadUsers) -> User:
    found = await reading.must_get(USERS, user, "user")
    reading.etag_of(found.since)
    return user_body(reading, found)


@routes.patch("/tenants/{tenant}/users/{user}")
async def change_user(user: UserInPath, body: UserChanges, caller: MayManageUsers) -> User:
    wanted = body.model_dump(exclude_unset=True)
    for required in ("user_name", "active"):
        if required in wanted and wanted[required] is None:
            raise problems.unprocessable(f"{required} can't be taken away: leave it out or send a value")
    expected = caller.expects_unchanged(f"user:{user}", USERS.follows)
    for _ in range(MOST_TRIES):
        current = caller.find(USERS, f"user:{user}", user)
        revision = users.ReviseUser(UserId(user))  # of nobody: it is refused, or a retry
        if current is not None:
            revision = _revision(caller, UserId(user), current.row, wanted)
        since = current.since if current is not None else 0
        seen = Expectation(caller.version(f"user:{user}", USERS.follows), since)
        try:
            outcome = await caller.execute(revision, (*expected, seen) if current is not None else expected)
        except VersionChanged:
            if expected:
                raise
            continue
        if outcome.repeated:
            after = caller.past(USERS, f"user:{user}", user, outcome.position)
        else:
            after = caller.find(USERS, f"user:{user}", user)
        if after is None:
            raise problems.not_found("the user does not exist")
        caller.etag_of(after.since)
        return user_body(caller, after)
    raise problems.unavailable("the user is being changed by others all the time; send it again")


def _revision(caller: Acting, user: UserId, row: UserRow, wanted: dict[str, Any]) -> users.ReviseUser:
    profile = Profile(row.display_name, row.given_name, row.family_name, row.email, row.attributes)
    changes: dict[str, Any] = {field: caller.seal_if(user, field, wanted[field]) for field in FIELDS if field in wanted}
    if "attributes" in wanted:
        changes["attributes"] = _sealed_attributes(caller, user, wanted["attributes"])
    name = wanted.get("user_name")
    return users.ReviseUser(
        user,
        name=caller.unique(user, "user_name", name, compared(name)) if name is not None else None,
        profile=msgspec.structs.replace(profile, **changes) if changes else None,
        active=wanted.get("active"),
    )


@routes.post("/tenants/{tenant}/users/{user}/deactivate")
async def deactivate_user(user: UserInPath, caller: MayManageUsers) -> Changed:
    return changed(await caller.execute(users.DeactivateUser(UserId(user))))


@routes.post("/tenants/{tenant}/users/{user}/reactivate")
async def reactivate_user(user: UserInPath, caller: MayManageUsers) -> Changed:
    return changed(await caller.execute(users.ReactivateUser(UserId(user))))


@routes.delete("/tenants/{tenant}/users/{user}")
async def delete_user(user: UserInPath, caller: MayManageUsers) -> Changed:
    expected = caller.expects_unchanged(f"user:{user}", USERS.follows)
    return changed(await caller.execute(users.DeleteUser(UserId(user)), expected))


class Erased(Answer):
    """A receipt: from `position` on, nothing opens what was recorded of the person."""

    user: str
    position: int
    erased_at: str
    done: bool


@routes.post("/tenants/{tenant}/users/{user}/erase")
async def erase_user(user: UserInPath, caller: MayEraseUsers) -> Erased:
    """Destroys the keys that open what was ever recorded of a person. Answers when it is done everywhere."""
    outcome = await caller.execute(users.EraseUser(UserId(user)))
    await caller.node.finish_erasure(caller.tenant, outcome.position)
    return Erased(user=user, position=outcome.position, erased_at=time_text(outcome.instant), done=True)
