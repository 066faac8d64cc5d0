"""The main job, from end to end: Planet Express comes in by scim2-cli, is edited, and is asked what it was.

Everything is asked over HTTP, of a node that anybody could have started.
"""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import httpx
import pytest

from api.cli.door import Door, client_of
from api.demo.edits import Actors, edit
from api.demo.loading import Loaded, ScimDoor, group_resource, user_resource
from api.demo.organisation import planet_express
from api.demo.story import HERMES_MAY
from tests.e2e.commands import PROGRAMS, environment, muniment
from tests.node import NodeProcess, running_node

pytestmark = pytest.mark.timeout(300)


class Pushed(NamedTuple):
    """Planet Express as it stands after everything, and the positions on the way there."""

    node: NodeProcess
    tenant: str
    loaded: Loaded
    came: int
    resent: int
    edited: int

    @property
    def leela(self) -> str:
        return self.loaded.users["leela@planetexpress.com"]

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        with self.node.client() as client:
            answer = client.get(f"/v1/tenants/{self.tenant}{path}", params=query)
            assert answer.status_code == 200, answer.text
            body: dict[str, Any] = answer.json()
            return body

    def listed(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """All pages of a listing."""
        found: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = self.get(path, **query, **cursor)
            found += page["items"]
            if page["next"] is None:
                return found
            cursor = {"cursor": page["next"]}


class ScimCli:
    """The provider: scim2-cli with a directory's address and token."""

    def __init__(self, url: str, token: str) -> None:
        self._command = [str(PROGRAMS / "scim"), "--url", url]
        self._environment = environment({"SCIM_CLI_HEADERS": f"Authorization: Bearer {token}"})

    def send(self, resource: dict[str, Any], *words: str) -> dict[str, Any]:
        run = subprocess.run(
            [*self._command, *words],
            check=False,
            input=json.dumps(resource),
            capture_output=True,
            text=True,
            env=self._environment,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        answer: dict[str, Any] = json.loads(run.stdout)
        assert "Error" not in answer["schemas"][0], answer
        return answer

    def create(self, loaded: Loaded) -> None:
        organisation = loaded.organisation
        with ThreadPoolExecutor(3) as several:
            users = several.map(lambda user: self.send(user_resource(user), "create", "user"), organisation.users)
            loaded.users.update((each["userName"], each["id"]) for each in users)
            groups = several.map(
                lambda group: self.send(group_resource(group, loaded), "create", "group"), organisation.groups
            )
            loaded.groups.update((each["displayName"], each["id"]) for each in groups)

    def replace(self, loaded: Loaded) -> None:
        with ThreadPoolExecutor(3) as several:
            users = [
                {**user_resource(each), "id": loaded.users[each["userName"]]} for each in loaded.organisation.users
            ]
            assert len(list(several.map(lambda user: self.send(user, "replace", "user"), users))) == 7
            groups = [
                {**group_resource(each, loaded), "id": loaded.groups[each.display_name]}
                for each in loaded.organisation.groups
            ]
            assert len(list(several.map(lambda group: self.send(group, "replace", "group"), groups))) == 2


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    with running_node(tmp_path_factory.mktemp("planet_express") / "data") as node:
        yield node


@pytest.fixture(scope="module")
def pushed(node: NodeProcess) -> Pushed:
    data = ("--data", str(node.data))
    tenant = muniment("tenant", "create", "Planet Express", *data)["id"]
    directory = muniment("directory", "create", "--tenant", tenant, *data)
    loaded = Loaded(planet_express())
    provider = ScimCli(directory["scim_url"], directory["token"])
    provider.create(loaded)
    came = _head(node, tenant)
    provider.replace(loaded)
    resent = _head(node, tenant)
    edits = asyncio.run(_edit(node, tenant, loaded, directory))
    assert edits == 200
    return Pushed(node, tenant, loaded, came, resent, _head(node, tenant))


def _head(node: NodeProcess, tenant: str) -> int:
    with node.client() as client:
        return int(client.get(f"/v1/tenants/{tenant}/events", params={"after": 2**53}).json()["head"])


async def _edit(node: NodeProcess, tenant: str, loaded: Loaded, directory: dict[str, Any]) -> int:
    """By the directory with its token, by Hermes with a key of his own, and by the operator."""
    hermes = loaded.users["hermes@planetexpress.com"]
    async with client_of(node.url, node.operator_key) as by_operator, httpx.AsyncClient(timeout=60) as by_directory:
        operator = Door(by_operator, node.url)
        await operator.ask("PUT", f"/v1/tenants/{tenant}/roles/rol_owner/assignments/{hermes}", {})
        body = {"holder": hermes, "permissions": list(HERMES_MAY)}
        key = (await operator.post(f"/v1/tenants/{tenant}/keys", body))["key"]
        async with client_of(node.url, key) as by_hermes:
            door = ScimDoor(by_directory, directory["scim_url"], directory["token"])
            return await edit(Actors(door, Door(by_hermes, node.url), operator), tenant, loaded, lambda done, of: None)


def test_everybody_is_there_as_the_provider_sent_them(pushed: Pushed) -> None:
    users = {each["user_name"]: each for each in pushed.listed("/users", as_of=pushed.came)}
    sent = {each["userName"]: each for each in planet_express().users}
    assert users.keys() == sent.keys()
    for name, user in users.items():
        assert user["display_name"] == sent[name]["displayName"]
        assert user["family_name"] == sent[name]["name"]["familyName"]
        assert user["email"] == sent[name]["emails"][0]["value"]
        assert user["external_id"] == sent[name]["externalId"]
        assert user["active"]


def test_the_groups_have_the_members_that_were_sent(pushed: Pushed) -> None:
    for group in planet_express().groups:
        members = pushed.listed(f"/groups/{pushed.loaded.groups[group.display_name]}/members", as_of=pushed.came)
        assert {each["user"] for each in members} == {pushed.loaded.users[each] for each in group.members}


def test_sending_everybody_again_unchanged_made_no_fact(pushed: Pushed) -> None:
    assert pushed.resent == pushed.came


def test_a_keyed_change_that_changes_nothing_leaves_only_that(pushed: Pushed) -> None:
    start = _head(pushed.node, pushed.tenant)
    path = f"/v1/tenants/{pushed.tenant}/users/{pushed.leela}"
    with pushed.node.client() as client:
        name = client.get(path).json()["display_name"]
        for _ in range(2):
            answer = client.patch(path, json={"display_name": name}, headers={"Idempotency-Key": "again"})
            assert answer.status_code == 200, answer.text
    news = pushed.listed("/trail", **{"from": start + 1})
    types = [each["type"] for each in news]
    assert [each for each in types if not each.startswith("TrailAccess")] == ["CommandHadNoEffect"]


def test_the_trail_of_one_person_says_who_and_under_what_authority(pushed: Pushed) -> None:
    trail = pushed.listed("/trail", subject=pushed.leela, order="oldest", to=pushed.edited)
    assert trail[0]["type"] == "UserProvisioned"
    assert [each["position"] for each in trail] == sorted(each["position"] for each in trail)
    assert {each["actor"]["kind"] for each in trail} == {"directory", "user", "operator"}
    assigned = next(each for each in trail if each["type"] == "RoleAssigned")
    assert assigned["actor"]["id"] == pushed.loaded.users["hermes@planetexpress.com"]
    assert assigned["authority"]["permission"] == "roles:assign"
    assert assigned["authority"]["policies"] == ["rol_owner"]
    assert assigned["credential"].startswith("key_")
    by_type = {each["type"] for each in trail}
    assert {"UserProfileChanged", "MemberAdded", "RoleAssigned", "RoleWithdrawn", "FlagTargeted"} <= by_type


def test_the_state_as_of_three_moments_is_what_it_was(pushed: Pushed) -> None:
    names = []
    for moment in (pushed.came, (pushed.came + pushed.edited) // 2, pushed.edited):
        user = pushed.get(f"/users/{pushed.leela}", as_of=moment)
        names.append(user["display_name"])
        assert pushed.get(f"/users/{pushed.leela}", as_of=moment) == user
    assert names[0] == "Turanga Leela"
    assert names[1].startswith("Captain Leela, flight ")
    assert names[2] == "Captain Leela, flight 10"
    assert len(set(names)) == 3


def test_a_time_means_the_position_before_it(pushed: Pushed) -> None:
    entry = pushed.get("/trail", **{"from": pushed.came, "to": pushed.came})["items"][0]
    by_time = pushed.listed("/users", as_of=entry["recorded_at"])
    assert by_time == pushed.listed("/users", as_of=pushed.came)


def test_the_difference_says_what_changed_who_did_it_and_why_they_could(pushed: Pushed) -> None:
    found = pushed.listed("/diff", **{"from": pushed.came, "to": pushed.edited, "limit": 7})
    by_row = {(each["view"], each["key"]): each for each in found}
    assert len(by_row) == len(found)
    leela = by_row["users", pushed.leela]
    assert leela["fields"] == ["display_name"]
    assert leela["before"]["values"]["display_name"] == "Turanga Leela"
    assert leela["after"]["values"]["display_name"] == "Captain Leela, flight 10"
    assert leela["steps"] == 10
    assert {each["actor"]["kind"] for each in leela["causes"]} == {"directory"}
    assert {each["authority"]["permission"] for each in leela["causes"]} == {"users:manage"}
    assert by_row["tenant_settings", "delivery.week"]["before"] is None
    assert by_row["tenant_settings", "delivery.week"]["after"]["values"]["value"] == "10"
    assert {view for view, _ in by_row} >= {"users", "groups", "roles", "assignments", "flags", "flag_targets"}


def test_the_difference_of_a_moment_to_itself_is_nothing(pushed: Pushed) -> None:
    assert pushed.listed("/diff", **{"from": pushed.edited, "to": pushed.edited}) == []


def test_an_erased_person_is_named_as_erased_in_every_past(pushed: Pushed) -> None:
    fry = pushed.loaded.users["fry@planetexpress.com"]
    with pushed.node.client() as client:
        receipt = client.post(f"/v1/tenants/{pushed.tenant}/users/{fry}/erase").json()
    assert receipt["done"]
    differences = pushed.listed("/diff", **{"from": "0", "to": pushed.edited})
    row = next(each for each in differences if each["key"] == fry)["after"]
    assert row["values"]["user_name"] is None
    assert "user_name" in row["erased"]
    assert "Philip" not in json.dumps(differences)
    exported = pushed.get(f"/users/{fry}/export")
    assert exported["user"] is None
    assert exported["history"][0]["type"] == "UserProvisioned"
    assert "Philip" not in json.dumps(exported)


def test_the_views_are_what_the_history_folds_to(pushed: Pushed) -> None:
    verified = muniment("verify", "--tenant", pushed.tenant, "--data", str(pushed.node.data))
    assert verified["holds"]
    (tenant,) = verified["tenants"]
    assert {each["place"] for each in tenant["places"]} == {"stored", "resident"}
    assert tenant["history"]["size"] == tenant["position"]


def test_the_demo_tells_the_whole_story_of_a_generated_organisation_too(node: NodeProcess) -> None:
    told = muniment("demo", "--users", "300", "--data", str(node.data))
    story, crowd = told["planet_express"], told["generated"]
    assert story["edits"] == 200
    assert story["facts_of_resending"] == 0
    assert len(story["users_as_of"]) == 3
    assert story["trail"][0]["type"] == "UserProvisioned"
    with node.client() as client:
        page = client.get(f"/v1/tenants/{crowd['tenant']}/users", params={"limit": 500}).json()
    assert len(page["items"]) == crowd["users"] == 300
