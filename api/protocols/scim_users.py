"""Users over SCIM (RFC 7644 §3): what a directory sends of its people, each request one command.

A user of whom `active` is not said is active, also after a PUT without it; one who is not is still answered.
"""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Final

from fastapi import Response

from adapters.scim.patch import apply, read_patch
from adapters.scim.queries import read_query
from adapters.scim.resources import read_resource
from adapters.scim.schema import USER, ResourceType
from api.http import problems
from api.protocols.scim_callers import FromDirectory, Inquiring, Provisioning, may_inquire, may_provision
from api.protocols.scim_documents import (
    CHANGING,
    DELETING,
    LISTING,
    SHOWING,
    IdInScim,
    PatchBody,
    ScimList,
    ScimResource,
    SearchBody,
    UserBody,
    documented,
    scim_router,
)
from api.protocols.scim_lists import Shelf, listed, shown
from api.protocols.scim_memberships import Memberships, home_of
from api.protocols.scim_people import (
    Person,
    changed_profile,
    decompose,
    external_id_of,
    opened,
    profile_of,
    recompose,
    scope_of,
    user_name_of,
)
from api.users import compared
from domain.boundary import Expectation
from domain.directory import users
from domain.ids import UserId, is_id
from domain.ledger import VersionChanged
from domain.view import Moment, Versioned, View
from projections.directory import MEMBERS, USERS, UserRow

MayReadUsers = Annotated[Inquiring, may_inquire("users:read")]
MayManageUsers = Annotated[Provisioning, may_provision("users:manage")]
MOST_TRIES: Final = 10

routes = scim_router()


@routes.post("/Users", **documented(ScimResource, status=201, takes_body=True, changes=True), openapi_extra=SHOWING)
async def create_user(body: UserBody, caller: MayManageUsers) -> Response:
    resource = {"active": True, **read_resource(body, USER, caller.tolerance)}
    person = decompose(resource)
    user = UserId(caller.new_subject("usr"))
    command = users.ProvisionUser(
        user,
        user_name_of(caller, user, person),
        profile_of(caller, user, person),
        caller.directory,
        external_id_of(caller, user, person, caller.directory),
        person.active,
    )
    outcome = await caller.execute(command)
    row = caller.row_of(USERS, outcome)
    made = user_resource(caller, Versioned(row.user, outcome.position, row), None if outcome.repeated else resource)
    return caller.answer_resource(caller.projection(USER).apply(made), made["meta"], 201)


@routes.get("/Users", **documented(ScimList), openapi_extra=LISTING)
async def list_users(caller: MayReadUsers) -> Response:
    return caller.answer(await listed([UserShelf(caller, caller.at)], caller.query))


@routes.post("/Users/.search", **documented(ScimList, takes_body=True))
async def search_users(body: SearchBody, caller: MayReadUsers) -> Response:
    return caller.answer(await listed([UserShelf(caller, caller.at)], read_query(body)))


@routes.get("/Users/{id}", **documented(ScimResource), openapi_extra=SHOWING)
async def read_user(id: IdInScim, caller: MayReadUsers) -> Response:
    found = await UserShelf(caller, caller.at).get(id) if is_id(id, "usr") else None
    if found is None:
        raise _no_user()
    return await _answered(caller, found, caller.at)


@routes.put("/Users/{id}", **documented(ScimResource, takes_body=True, changes=True), openapi_extra=CHANGING)
async def replace_user(id: IdInScim, body: UserBody, caller: MayManageUsers) -> Response:
    wanted = {"active": True, **read_resource(body, USER, caller.tolerance)}
    return await _change(caller, id, lambda _: wanted)


@routes.patch("/Users/{id}", **documented(ScimResource, takes_body=True, changes=True), openapi_extra=CHANGING)
async def patch_user(id: IdInScim, body: PatchBody, caller: MayManageUsers) -> Response:
    operations = read_patch(body, caller.tolerance)
    return await _change(caller, id, lambda resource: apply(resource, operations, USER, caller.tolerance))


@routes.delete("/Users/{id}", **documented(None, status=204, changes=True), openapi_extra=DELETING)
async def delete_user(id: IdInScim, caller: MayManageUsers) -> Response:
    # A retry under the same Idempotency-Key finds the user gone: the ledger knows what it was told the first time.
    if not is_id(id, "usr") or home_of(caller, "user", id) != caller.directory:
        raise _no_user()
    expected = caller.expects_unchanged(f"user:{id}", USERS.follows)
    await caller.execute(users.DeleteUser(UserId(id)), expected)
    return caller.answer(None, 204)


async def _change(caller: Provisioning, id: str, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> Response:
    """Reads the user from the ledger, edits the resource, and records what differs, unless somebody was faster."""
    current = _own(caller, id)
    tag = f"user:{id}"
    expected = caller.expects_unchanged(tag, USERS.follows)
    for _ in range(MOST_TRIES):
        before = opened(caller, current.row)
        if before is None:
            raise _no_user()
        resource, foreign = recompose(before)
        command = _revision(caller, current.row, before, decompose(edit(resource), foreign))
        seen = Expectation(caller.version(tag, USERS.follows), current.since)
        try:
            outcome = await caller.execute(command, (*expected, seen))
        except VersionChanged:
            if expected:
                raise
            current = _own(caller, id)
            continue
        return await _answered(caller, _own(caller, id), Moment(outcome.position, outcome.instant))
    raise problems.unavailable("the user is being changed by others all the time; send it again")


def _revision(caller: Provisioning, row: UserRow, before: Person, after: Person) -> users.ReviseUser:
    renamed = after.user_name != before.user_name
    recalled = after.external_id != before.external_id
    return users.ReviseUser(
        row.user,
        name=user_name_of(caller, row.user, after) if renamed else None,
        profile=changed_profile(caller, row, before, after),
        external_id=external_id_of(caller, row.user, after, caller.directory) if recalled else None,
        forget_external_id=recalled and after.external_id is None,
        active=after.active if after.active != before.active else None,
    )


def _own(caller: Provisioning, id: str) -> Versioned[UserRow]:
    if not is_id(id, "usr"):
        raise _no_user()
    found = caller.current(USERS, f"user:{id}", id, "user")
    if found.row.directory != caller.directory:
        raise _no_user()
    return found


async def _answered(caller: FromDirectory, found: Versioned[UserRow], at: Moment) -> Response:
    resource = user_resource(caller, found)
    seen = await shown(UserShelf(caller, at), found.row, resource, caller.projection(USER))
    return caller.answer_resource(seen, resource["meta"])


def user_resource(
    caller: FromDirectory, found: Versioned[UserRow], known: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The user as they are answered, but for their groups. Of a person who was erased, only that there was one.

    `known` is the canonical resource, where it need not be opened.
    """
    row = found.row
    resource = known or _opened_resource(caller, row)
    meta = caller.meta(USER, row.user, row.created_at, row.changed_at, found.since)
    return {**resource, "id": row.user, "meta": meta}


def _opened_resource(caller: FromDirectory, row: UserRow) -> dict[str, Any]:
    person = opened(caller, row)
    return recompose(person)[0] if person is not None else {"schemas": [USER.urn], "active": row.active}


def _no_user() -> problems.Problem:
    return problems.not_found("the user does not exist, or is not this directory's")


class UserShelf(Shelf[UserRow]):
    kind: ClassVar[ResourceType] = USER
    view: View[UserRow] = USERS
    derived = ("groups",)

    def __init__(self, caller: FromDirectory, at: Moment) -> None:
        super().__init__(caller, at)
        self._memberships = Memberships(caller, at.position)
        self._keeps = not (isinstance(caller, Inquiring) and caller.as_of)

    def resource(self, found: Versioned[UserRow]) -> dict[str, Any]:
        caller, users = self.caller, self.caller.memory.users
        home, epoch = (caller.tenant, caller.directory), caller.node.keyring.epoch
        known = users.get(home, found.key, found.since, epoch)
        if known is None:
            known = user_resource(caller, found)
            if self._keeps:
                users.keep(home, found.key, found.since, epoch, known, _size(found.row))
        return dict(known)

    async def derive(self, resource: dict[str, Any], row: UserRow, name: str) -> None:
        if member_of := self._memberships.groups_of(row.user):
            resource["groups"] = member_of

    async def narrowed(self, attribute: str, value: str) -> list[Versioned[UserRow]] | None:
        node, tenant = self.caller.node, self.caller.tenant
        match attribute:
            case "id":
                found = await self.get(value) if is_id(value, "usr") else None
                return [found] if found else []
            case "userName":
                handle = node.keyring.find_handle(tenant, "user_name", compared(value))
                return await self.find("user_name_handle", handle) if handle else []
            case "externalId":
                return await self.find_external_id(scope_of(self.caller.directory), value)
            case "groups":
                members = [each.row.member async for each in self.rows(MEMBERS, "group", value)]
                of_group = await (await self.stored()).get_many(USERS, tenant, members, self.at)
                return [of_group[member] for member in members if member in of_group]
        return None


def _size(row: UserRow) -> int:
    sealed = (row.user_name, row.display_name, row.given_name, row.family_name, row.email, row.attributes)
    return sum(len(each.ciphertext) for each in sealed if each is not None)
