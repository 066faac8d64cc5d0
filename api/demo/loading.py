"""Loading: an organisation through a directory's SCIM door, so many requests at a time, as providers do."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

import httpx

from api.cli.printing import Advance, Failed
from api.demo.organisation import GROUP_SCHEMA, USER_SCHEMA, Group, Organisation

AT_A_TIME: Final = 16
MOST_TRIES: Final = 20
T = TypeVar("T")


class ScimDoor:
    """A directory's address and bearer token."""

    def __init__(self, client: httpx.AsyncClient, url: str, token: str) -> None:
        self._client = client
        self.url = url
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}

    async def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The resource in the answer. What is busy is asked again, as it says. Raises Failed."""
        response = await self._request(method, path, body)
        for _ in range(MOST_TRIES):
            if response.status_code not in (429, 503):
                break
            await asyncio.sleep(float(response.headers.get("retry-after", "1")))
            response = await self._request(method, path, body)
        answered: dict[str, Any] = response.json() if response.content else {}
        if not response.is_success:
            raise Failed(f"{method} {path.split('/')[1]} was refused: {answered.get('detail', response.status_code)}")
        return answered

    async def _request(self, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
        try:
            return await self._client.request(method, self.url + path, json=body, headers=self._headers)
        except httpx.HTTPError as problem:
            raise Failed(f"the node does not answer any more ({type(problem).__name__})") from problem


class Loaded:
    """An organisation in a directory: the ids of its users and groups by their names."""

    def __init__(self, organisation: Organisation) -> None:
        self.organisation = organisation
        self.users: dict[str, str] = {}
        self.groups: dict[str, str] = {}


async def load(door: ScimDoor, organisation: Organisation, advance: Advance) -> Loaded:
    """Create everybody, then the groups with their members."""
    loaded = Loaded(organisation)
    count = _Count(advance, len(organisation.users) + len(organisation.groups))

    async def create_user(user: dict[str, Any]) -> None:
        loaded.users[user["userName"]] = (await door.send("POST", "/Users", user_resource(user)))["id"]
        count.one_more()

    async def create_group(group: Group) -> None:
        loaded.groups[group.display_name] = (await door.send("POST", "/Groups", group_resource(group, loaded)))["id"]
        count.one_more()

    await _at_a_time(organisation.users, create_user)
    await _at_a_time(organisation.groups, create_group)
    return loaded


async def resend(door: ScimDoor, loaded: Loaded, advance: Advance) -> None:
    """Send every user and group once more, as they are; nothing should come of it."""
    organisation = loaded.organisation
    count = _Count(advance, len(organisation.users) + len(organisation.groups))

    async def replace_user(user: dict[str, Any]) -> None:
        await door.send("PUT", f"/Users/{loaded.users[user['userName']]}", user_resource(user))
        count.one_more()

    async def replace_group(group: Group) -> None:
        resource = group_resource(group, loaded)
        await door.send("PUT", f"/Groups/{loaded.groups[group.display_name]}", resource)
        count.one_more()

    await _at_a_time(organisation.users, replace_user)
    await _at_a_time(organisation.groups, replace_group)


def user_resource(user: dict[str, Any]) -> dict[str, Any]:
    return {"schemas": [USER_SCHEMA], "active": True, **user}


def group_resource(group: Group, loaded: Loaded) -> dict[str, Any]:
    return {
        "schemas": [GROUP_SCHEMA],
        "displayName": group.display_name,
        "externalId": group.external_id,
        "members": [{"value": loaded.users[each], "type": "User"} for each in group.members],
    }


class _Count:
    def __init__(self, advance: Advance, of: int) -> None:
        self._advance = advance
        self._done, self._of = 0, of
        advance(0, of)

    def one_more(self) -> None:
        self._done += 1
        self._advance(self._done, self._of)


async def _at_a_time(things: Sequence[T] | Iterable[T], act: Callable[[T], Awaitable[None]]) -> None:
    """Each thing once, so many at a time; the first failure ends all."""
    left = iter(things)

    async def work() -> None:
        for thing in left:
            await act(thing)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_A_TIME):
                group.create_task(work())
    except* Failed as failed:
        # All fail alike, when the node goes: one of them says it.
        raise failed.exceptions[0] from None
