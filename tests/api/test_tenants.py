"""Tenants over REST: names that only one has whatever is asked at once or again, their end, and what is no tenant's."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.api.organisation import Organisation, organisation
from tests.api.test_isolation import body_for, filled, operations
from tests.node import NodeProcess

ROUNDS = 5
DEPLOYMENT = "/v1/tenants/_deployment"
OF_THE_DEPLOYMENT = (
    *("flags", "evaluations", "trail", "exports", "events", "verify", "diff", "evidence"),
    *("archive", "retention", "legal_holds", "audit-actions", "state", "why", "what-if", "blast-radius", "incident"),
    *("blast-radius.dot", "incident.html", "access", "audit-events"),
)


@pytest.fixture
def client(node: NodeProcess) -> Iterator[httpx.Client]:
    with node.client() as client:
        yield client


@pytest.fixture(scope="module")
def office(node: NodeProcess) -> Organisation:
    return organisation(node, f"Planet Express {uuid.uuid4()}")


def fresh(what: str) -> str:
    """A name that nothing had before."""
    return f"{what} {uuid.uuid4()}"


def create(client: httpx.Client, name: str, key: str | None = None) -> httpx.Response:
    return client.post("/v1/tenants", json={"name": name}, headers={"Idempotency-Key": key} if key else {})


def made(client: httpx.Client, name: str) -> str:
    answer = create(client, name)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def rename(client: httpx.Client, tenant: str, name: str, key: str | None = None) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return client.patch(f"/v1/tenants/{tenant}", json={"name": name}, headers=headers)


def listed(client: httpx.Client, tenant: str) -> list[dict[str, Any]]:
    """What the list of all tenants says of one."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get("/v1/tenants", params={"limit": 500, **cursor}).json()
        found += [each for each in page["items"] if each["id"] == tenant]
        if not page["next"]:
            return found
        cursor = {"cursor": page["next"]}


def present_name(client: httpx.Client, tenant: str) -> str:
    return str(client.get(f"/v1/tenants/{tenant}").json()["name"])


def test_of_renamings_at_once_the_last_holds_and_every_other_name_is_free(client: httpx.Client) -> None:
    for _ in range(ROUNDS):
        first = fresh("first")
        tenant = made(client, first)
        names = [fresh("renamed") for _ in range(4)]
        with ThreadPoolExecutor(len(names)) as crowd:
            answers = list(crowd.map(lambda name, tenant=tenant: rename(client, tenant, name), names))
        assert [each.status_code for each in answers] == [200] * len(names)
        present = present_name(client, tenant)
        assert listed(client, tenant) == [{"id": tenant, "name": present, "life": "active"}]
        assert {name: create(client, name).status_code for name in (first, *names)} == {
            name: 409 if name == present else 201 for name in (first, *names)
        }


def test_of_tenants_that_want_one_name_at_once_one_gets_it(client: httpx.Client) -> None:
    rivals = [made(client, fresh("rival")) for _ in range(4)]
    wanted = fresh("wanted")
    with ThreadPoolExecutor(len(rivals)) as crowd:
        answers = list(crowd.map(lambda tenant: rename(client, tenant, wanted), rivals))
    assert sorted(each.status_code for each in answers) == [200, 409, 409, 409]
    (winner,) = (tenant for tenant, each in zip(rivals, answers, strict=True) if each.status_code == 200)
    assert [tenant for tenant in rivals if present_name(client, tenant) == wanted] == [winner]
    assert listed(client, winner) == [{"id": winner, "name": wanted, "life": "active"}]


def test_the_retry_of_an_old_renaming_frees_only_names_of_before(client: httpx.Client) -> None:
    first, second, third = fresh("first"), fresh("second"), fresh("third")
    tenant, key = made(client, first), str(uuid.uuid4())
    assert rename(client, tenant, second, key).json()["changed"]
    assert rename(client, tenant, third).json()["changed"]
    again = rename(client, tenant, second, key)
    assert (again.status_code, again.json()["repeated"]) == (200, True)
    assert listed(client, tenant) == [{"id": tenant, "name": third, "life": "active"}]
    assert create(client, third).status_code == 409
    assert create(client, second).status_code == 201
    again = rename(client, tenant, second, key)
    assert (again.status_code, again.json()["repeated"]) == (200, True), "also when another has the name meanwhile"
    assert present_name(client, tenant) == third


def test_a_renaming_that_is_refused_reserves_nothing(client: httpx.Client) -> None:
    tenant, wanted = made(client, fresh("first")), fresh("wanted")
    tag = client.get(f"/v1/tenants/{tenant}").headers["etag"]
    rename(client, tenant, fresh("second")).raise_for_status()
    stale = client.patch(f"/v1/tenants/{tenant}", json={"name": wanted}, headers={"If-Match": tag})
    assert stale.status_code == 412
    client.post(f"/v1/tenants/{tenant}/suspend", json={}).raise_for_status()
    assert rename(client, tenant, wanted).status_code == 409
    assert create(client, wanted).status_code == 201


def test_another_spelling_of_the_same_name_is_listed(client: httpx.Client) -> None:
    name = fresh("spelt")
    tenant = made(client, name)
    rename(client, tenant, name.upper()).raise_for_status()
    assert listed(client, tenant) == [{"id": tenant, "name": name.upper(), "life": "active"}]
    assert create(client, name).status_code == 409


def test_the_retry_of_a_creation_answers_with_the_tenant_as_it_is(client: httpx.Client) -> None:
    name, key = fresh("created"), str(uuid.uuid4())
    tenant = create(client, name, key).json()["id"]
    renamed = fresh("renamed")
    rename(client, tenant, renamed).raise_for_status()
    again = create(client, name, key)
    assert (again.status_code, again.json()["id"], again.json()["name"]) == (201, tenant, renamed)
    client.delete(f"/v1/tenants/{tenant}").raise_for_status()
    again = create(client, name, key)
    assert (again.status_code, again.json()["id"], again.json()["life"]) == (201, tenant, "deleted")
    for free in (name, renamed):
        assert create(client, free).status_code == 201


def test_a_creation_sent_several_times_at_once_makes_one_tenant(client: httpx.Client) -> None:
    name, key = fresh("once"), str(uuid.uuid4())
    with ThreadPoolExecutor(4) as crowd:
        answers = list(crowd.map(lambda _: create(client, name, key), range(4)))
    assert [each.status_code for each in answers] == [201] * 4
    assert len({each.json()["id"] for each in answers}) == 1
    assert listed(client, answers[0].json()["id"]) != []


@pytest.mark.parametrize("name", ["", " ", "\u3000", "\u00a0 \t"])
def test_a_name_is_more_than_spaces(client: httpx.Client, name: str) -> None:
    tenant = made(client, fresh("named"))
    assert create(client, name).status_code == 422
    assert rename(client, tenant, name).status_code == 422


def test_a_person_of_a_deleted_tenant_is_erased(node: NodeProcess, client: httpx.Client) -> None:
    gone = organisation(node, fresh("gone"))
    path = f"/v1/tenants/{gone.ids['tenant']}/users/{gone.ids['user']}"
    owner = f"/v1/tenants/{gone.ids['tenant']}/roles/rol_owner/assignments/{gone.ids['user']}"
    client.put(owner, json={}).raise_for_status()
    client.delete(f"/v1/tenants/{gone.ids['tenant']}").raise_for_status()
    assert client.delete(path).status_code == 404
    erased = client.post(f"{path}/erase")
    assert (erased.status_code, erased.json()["done"]) == (200, True)
    trail = client.get("/v1/trail", params={"tenant": gone.ids["tenant"], "subject": gone.ids["user"]}).json()
    (provisioned,) = (each for each in trail["items"] if each["type"] == "UserProvisioned")
    assert provisioned["data"]["user_name"] is None
    assert "user_name" in provisioned["erased"]
    assert client.post(f"{path}/erase").status_code == 404


def test_the_deployment_has_nothing_that_is_a_tenants(
    node: NodeProcess, client: httpx.Client, office: Organisation
) -> None:
    there = Organisation({**office.ids, "tenant": "_deployment"}, office.key, office.bodies)
    opened = []
    for method, path, operation in operations(node):
        if path.removeprefix("/v1/tenants/{tenant}").partition("/")[2].partition("/")[0] in OF_THE_DEPLOYMENT:
            continue
        json = body_for(operation, there) if "requestBody" in operation else None
        answer = client.request(method, filled(path, there), json=json)
        if answer.status_code != 404 or "the deployment is none" not in answer.json()["detail"]:
            opened.append((method, path, answer.status_code))
    assert not opened


def test_the_deployment_has_flags_and_a_history(client: httpx.Client) -> None:
    key = f"f_{uuid.uuid4().hex}"
    assert client.post(f"{DEPLOYMENT}/flags", json={"key": key}).status_code == 201
    for path in ("flags", f"evaluations/{key}", "trail", "events", "diff?from=1"):
        assert client.get(f"{DEPLOYMENT}/{path}").status_code == 200, path
    assert client.post(f"{DEPLOYMENT}/verify").json()["holds"]


def test_a_tenants_key_is_told_what_only_operators_may(client: httpx.Client, node: NodeProcess) -> None:
    office = organisation(node, fresh("office"))
    with node.client(office.key) as theirs:
        for method, path in (("GET", "/v1/tenants"), ("POST", "/v1/tenants"), ("POST", "/v1/operator/rotate")):
            answer = theirs.request(method, path, json={"name": "x"} if method == "POST" else None)
            assert (answer.status_code, "only operators" in answer.json()["detail"]) == (403, True), path
        assert theirs.get(DEPLOYMENT).status_code == 404
    trail = client.get(f"/v1/tenants/{office.ids['tenant']}/trail", params={"type": "CommandRefused"}).json()
    assert [each["data"]["command"] for each in trail["items"]] == [
        "operators:manage",
        "tenants:create",
        "tenants:read",
    ]
