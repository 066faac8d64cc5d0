"""The story of the demo: who came in, what was edited, and then what the history answers about it."""

from typing import Any, Final

from rich.rule import Rule

from api.cli.door import Door, client_of
from api.cli.printing import Failed, answer_rows, out, progress
from api.cli.replaying import compared, print_differences
from api.demo.edits import Actors, edit
from api.demo.loading import Loaded, ScimDoor, load, resend
from api.demo.organisation import Organisation

HERMES_MAY: Final = (
    "roles:read",
    "roles:manage",
    "roles:assign",
    "users:read",
    "users:manage",
    "groups:read",
    "tenants:settings",
)
_SHOWN: Final = 12
_WORK: Final = "leela@planetexpress.com"


class Story:
    """Told on one node, through the operator's door and those that it opens."""

    def __init__(self, node: Door, *, quiet: bool) -> None:
        self._node = node
        self._quiet = quiet

    async def planet_express(self, organisation: Organisation) -> dict[str, Any]:
        """All of it; returns what happened, for scripts."""
        tenant, door = await self._open(organisation.name)
        loaded = await self._load(door, organisation)
        came = await self._head(tenant)
        key = await self._key_of_hermes(tenant, loaded)
        async with client_of(self._node.url, key, self._node.transport) as client:
            actors = Actors(door, Door(client, self._node.url, self._node.transport), self._node)
            with progress("Editing") as advance:
                edits = await edit(actors, tenant, loaded, advance)
        edited = await self._head(tenant)
        self._say(f"{edits} edits by the directory, by Hermes with his own key, and by the operator")
        leela = loaded.users[_WORK]
        moments = (came, (came + edited) // 2, edited)
        trail = await self._trail(tenant, leela)
        states = [await self._state(tenant, each) for each in moments]
        differences = await self._difference(tenant, moments[0], moments[-1])
        again = await self._resend(tenant, door, loaded)
        return {
            "tenant": tenant,
            "scim_url": door.url,
            "user": leela,
            "moments": list(moments),
            "edits": edits,
            "trail": trail,
            "users_as_of": states,
            "differences": differences,
            "facts_of_resending": again,
        }

    async def crowd(self, organisation: Organisation) -> dict[str, Any]:
        """A generated organisation, in a tenant of its own."""
        tenant, door = await self._open(organisation.name)
        await self._load(door, organisation)
        return {"tenant": tenant, "users": len(organisation.users), "groups": len(organisation.groups)}

    async def _open(self, name: str) -> tuple[str, ScimDoor]:
        """A new tenant with a directory; its name gets a number if somebody has it."""
        taken = {each["name"] async for each in self._node.pages("/v1/tenants", limit=500)}
        free = next(each for each in (name, *(f"{name} {number}" for number in range(2, 10_000))) if each not in taken)
        tenant = (await self._node.post("/v1/tenants", {"name": free}))["id"]
        directory = await self._node.post(f"/v1/tenants/{tenant}/directories", {"name": "Human resources"})
        self._say(f"Tenant {free} ({tenant})", heading=True)
        return tenant, ScimDoor(self._node.client, directory["scim_url"], directory["token"])

    async def _load(self, door: ScimDoor, organisation: Organisation) -> Loaded:
        with progress("Provisioning over SCIM") as advance:
            loaded = await load(door, organisation, advance)
        self._say(f"{len(loaded.users):,} users and {len(loaded.groups):,} groups came over SCIM")
        return loaded

    async def _key_of_hermes(self, tenant: str, loaded: Loaded) -> str:
        """He is made an owner, and given a key that can do a part of what he may."""
        hermes = loaded.users["hermes@planetexpress.com"]
        await self._node.ask("PUT", f"/v1/tenants/{tenant}/roles/rol_owner/assignments/{hermes}", {})
        body = {"holder": hermes, "permissions": list(HERMES_MAY), "name": "Stamps and forms"}
        issued = await self._node.post(f"/v1/tenants/{tenant}/keys", body)
        return str(issued["key"])

    async def _head(self, tenant: str) -> int:
        return int((await self._node.get(f"/v1/tenants/{tenant}/trail", limit=1))["position"])

    async def _trail(self, tenant: str, user: str) -> list[dict[str, Any]]:
        path = f"/v1/tenants/{tenant}/trail"
        lines = [each async for each in self._node.pages(path, subject=user, order="oldest", limit=500)]
        self._say(f"The trail of {_WORK}: {len(lines)} events, the last {_SHOWN} of them", heading=True)
        if not self._quiet:
            shown = [
                {**each, "by": f"{each['actor']['kind']} {each['actor']['id']}", "may": each["authority"]["permission"]}
                for each in lines[-_SHOWN:]
            ]
            answer_rows(shown, ("position", "recorded_at", "type", "by", "may"))
        return lines

    async def _state(self, tenant: str, moment: int) -> list[dict[str, Any]]:
        path = f"/v1/tenants/{tenant}/users"
        users = [each async for each in self._node.pages(path, as_of=str(moment), limit=500)]
        self._say(f"Everybody as of position {moment}", heading=True)
        if not self._quiet:
            answer_rows(users, ("user_name", "display_name", "active", "since"))
        return users

    async def _difference(self, tenant: str, start: int, end: int) -> dict[str, Any]:
        found = await compared(self._node, tenant, str(start), str(end))
        self._say("What the edits came to", heading=True)
        if not self._quiet:
            print_differences(found, _SHOWN)
        return found

    async def _resend(self, tenant: str, door: ScimDoor, loaded: Loaded) -> int:
        """How many facts came of sending everybody again, twice: the first puts right what others edited."""
        with progress("Sending everything again") as advance:
            await resend(door, loaded, advance)
        settled = await self._head(tenant)
        with progress("Sending everything again, unchanged") as advance:
            await resend(door, loaded, advance)
        facts = await self._head(tenant) - settled
        self._say(f"Everybody and everything sent again unchanged: {facts} new facts", heading=True)
        if facts:
            raise Failed("sending what is known already made new facts, which is a defect: please report it")
        return facts

    def _say(self, text: str, *, heading: bool = False) -> None:
        if self._quiet:
            return
        if heading:
            out.print()
            out.print(Rule(text, align="left"))
        else:
            out.print(text, markup=False)
