"""Who is let in at a directory's door, what they see there, and how refusals are said."""

from collections.abc import Iterator

import httpx
import pytest

from tests.api.protocols.provisioning import SCIM, Provider, group, user
from tests.node import NodeProcess

ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
METHODS = ("get", "post", "put", "patch", "delete")


@pytest.fixture
def other(node: NodeProcess, provider: Provider) -> Iterator[Provider]:
    """Another directory of the same tenant."""
    made = Provider(node, tenant=provider.tenant)
    yield made
    made.close()


@pytest.fixture
def stranger(node: NodeProcess) -> Iterator[Provider]:
    """A directory of another tenant."""
    made = Provider(node)
    yield made
    made.close()


def is_error(answer: httpx.Response, status: int, scim_type: str | None = None) -> bool:
    body = answer.json()
    return (
        answer.status_code == status
        and answer.headers["content-type"] == SCIM
        and body["schemas"] == [ERROR]
        and body["status"] == str(status)
        and body.get("scimType") == scim_type
    )


def test_a_directory_sees_only_what_came_from_it(provider: Provider, other: Provider, stranger: Provider) -> None:
    ann = provider.new_user("ann", externalId="1", displayName="Ann")["id"]
    crew = provider.new_group("Crew", ann, externalId="g1")["id"]
    local = provider.operator.post(f"/v1/tenants/{provider.tenant}/users", json={"user_name": "local"}).json()["id"]
    assert [found["id"] for found in provider.found("/Users")["Resources"]] == [ann]
    assert provider.get(f"/Users/{local}").status_code == 404
    for visitor in (other, stranger):
        assert visitor.found("/Users")["totalResults"] == visitor.found("/Groups")["totalResults"] == 0
        for filter_ in (f'id eq "{ann}"', 'userName eq "ann"', 'externalId eq "1"', 'displayName eq "Ann"', "id pr"):
            assert visitor.find("Users", filter_) == []
        for filter_ in (f'id eq "{crew}"', f'members eq "{ann}"', 'externalId eq "g1"', "displayName pr"):
            assert visitor.find("Groups", filter_) == []
        assert visitor.find("Users", f'groups eq "{crew}"') == []
        head = provider.head
        for path, body in ((f"/Users/{ann}", user("ann")), (f"/Groups/{crew}", group("Crew"))):
            change = {"op": "replace", "path": "displayName", "value": "Mine"}
            answers = [visitor.get(path), visitor.ask("PUT", path, body), visitor.ask("DELETE", path)]
            assert all(is_error(answer, 404) for answer in (*answers, visitor.patch(path, change)))
        assert provider.head == head


def test_a_directory_can_add_nobody_else_s_people_to_its_groups(
    provider: Provider, other: Provider, stranger: Provider
) -> None:
    crew = provider.new_group("Crew")["id"]
    for foreign in (other.new_user("ben")["id"], stranger.new_user("cat")["id"]):
        add = {"op": "add", "path": "members", "value": [{"value": foreign}]}
        assert is_error(provider.patch(f"/Groups/{crew}", add), 400, "invalidValue")
        assert is_error(provider.ask("POST", "/Groups", group("New", foreign)), 400, "invalidValue")


def test_a_member_that_somebody_else_added_can_be_sent_back_and_removed(provider: Provider, other: Provider) -> None:
    crew, ben = provider.new_group("Crew")["id"], other.new_user("ben")["id"]
    path = f"/v1/tenants/{provider.tenant}/groups/{crew}/members/{ben}"
    provider.operator.put(path).raise_for_status()
    read = provider.found(f"/Groups/{crew}")
    assert [member["value"] for member in read["members"]] == [ben]
    assert provider.ask("PUT", f"/Groups/{crew}", read).json() == read
    provider.patch(f"/Groups/{crew}", {"op": "remove", "path": f'members[value eq "{ben}"]'})
    assert provider.members(crew) == set()
    assert "groups" not in other.found(f"/Users/{ben}")


def test_two_directories_may_call_different_people_the_same(provider: Provider, other: Provider) -> None:
    ids = [each.new_user(name, externalId="1")["id"] for each, name in ((provider, "ann"), (other, "ben"))]
    found = [each.find("Users", 'externalId eq "1"')[0]["id"] for each in (provider, other)]
    assert found == ids
    assert is_error(other.ask("POST", "/Users", user("ANN")), 409, "uniqueness")


def test_only_the_directory_s_own_tokens_open_its_door(provider: Provider, other: Provider, node: NodeProcess) -> None:
    keys = [other.token, node.operator_key]
    made = provider.operator.post(f"/v1/tenants/{provider.tenant}/keys", json={"permissions": ["users:manage"]})
    keys.append(made.json()["key"])
    for key in keys:
        assert is_error(provider.get("/Users", Authorization=f"Bearer {key}"), 404)
        assert is_error(provider.ask("POST", "/Users", user("ann"), Authorization=f"Bearer {key}"), 404)
    for nobody in ("Bearer nothing", "Basic YTpi", ""):
        answer = provider.get("/Users", Authorization=nobody)
        assert is_error(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
    opened = provider.operator.get(
        f"/v1/tenants/{provider.tenant}/users", headers={"Authorization": f"Bearer {provider.token}"}
    )
    assert opened.status_code == 403


def test_a_revoked_token_and_a_removed_directory_open_nothing(provider: Provider) -> None:
    path = f"/v1/tenants/{provider.tenant}/directories/{provider.directory}"
    second = provider.operator.post(f"{path}/tokens", json={}).json()
    (first,) = (
        token["id"] for token in provider.operator.get(f"{path}/tokens").json()["items"] if token["id"] != second["id"]
    )
    provider.operator.delete(f"{path}/tokens/{first}").raise_for_status()
    assert is_error(provider.get("/Users"), 401)
    assert provider.get("/Users", Authorization=f"Bearer {second['token']}").status_code == 200
    provider.operator.delete(path).raise_for_status()
    assert is_error(provider.get("/Users", Authorization=f"Bearer {second['token']}"), 401)


def test_a_suspended_tenant_provisions_nobody(provider: Provider) -> None:
    provider.operator.post(f"/v1/tenants/{provider.tenant}/suspend", json={}).raise_for_status()
    assert is_error(provider.ask("POST", "/Users", user("ann")), 403)
    assert is_error(provider.get("/Users"), 403)


def test_the_last_owner_can_not_be_removed_by_a_directory(provider: Provider) -> None:
    ann = provider.new_user("ann")["id"]
    path = f"/v1/tenants/{provider.tenant}/roles/rol_owner/assignments/{ann}"
    provider.operator.put(path, json={}).raise_for_status()
    assert is_error(provider.patch(f"/Users/{ann}", {"op": "replace", "path": "active", "value": False}), 409)
    assert is_error(provider.ask("PUT", f"/Users/{ann}", user("ann", active=False)), 409)
    assert is_error(provider.ask("DELETE", f"/Users/{ann}"), 409)
    assert provider.found(f"/Users/{ann}")["active"] is True
    assert provider.events()[-1]["type"] == "CommandRefused"


def test_every_route_of_the_document_is_closed_to_another_directory(provider: Provider, stranger: Provider) -> None:
    document = httpx.get(f"{provider.operator.base_url}/openapi.json").json()
    ids = {"directory": provider.directory, "id": provider.new_user("ann")["id"]}
    asked = 0
    for path, item in document["paths"].items():
        for method in METHODS:
            if path.startswith("/scim/") and method in item:
                asked += 1
                body = user("ben", displayName="Ben", Operations=[{}]) if "requestBody" in item[method] else None
                url = path.format(**ids).removeprefix(f"/scim/v2/{provider.directory}")
                answer = provider.ask(method.upper(), url, body, Authorization=f"Bearer {stranger.token}")
                assert is_error(answer, 404), (method, path)
    assert asked > 15


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/Nothing", 404),
        ("GET", "/Schemas/urn:nothing", 404),
        ("GET", "/ResourceTypes/Nothing", 404),
        ("POST", "/ServiceProviderConfig", 405),
        ("DELETE", "/Users", 405),
        ("GET", "/Me", 501),
        ("POST", "/Bulk", 501),
        ("GET", "/Schemas?filter=id pr", 403),
        ("GET", "/Users?startIndex=one", 400),
        ("GET", "/Users?attributes=id&excludedAttributes=id", 400),
        ("GET", "/Users?as_of=yesterday", 400),
    ],
)
def test_what_is_not_there_is_refused_in_scim_s_words(provider: Provider, method: str, path: str, status: int) -> None:
    answer = provider.ask(method, path)
    assert (answer.status_code, answer.json()["status"]) == (status, str(status))
    assert answer.json()["schemas"] == [ERROR]
    assert answer.headers["content-type"] == SCIM


@pytest.mark.parametrize(
    ("content", "content_type", "status", "scim_type"),
    [
        (b"{", SCIM, 400, "invalidSyntax"),
        (b"[]", SCIM, 400, "invalidSyntax"),
        (b'{"userName": NaN}', SCIM, 400, "invalidSyntax"),
        (b'{"userName": "a\\u0000"}', SCIM, 400, "invalidSyntax"),
        (b'{"userName": "\\ud800"}', SCIM, 400, "invalidSyntax"),
        (b'{"userName": " "}', SCIM, 400, "invalidValue"),
        (b'{"displayName": "Ann"}', SCIM, 400, "invalidValue"),
        (b'{"userName": "ann", "active": "maybe"}', SCIM, 400, "invalidValue"),
        (b'{"userName": "' + b"x" * 40_000 + b'"}', SCIM, 400, "invalidValue"),
        (b"[" * 100, SCIM, 400, "invalidSyntax"),
        (b'{"userName": "ann"}', "text/plain", 415, None),
        (b" " * 2_000_000, SCIM, 413, None),
    ],
)
def test_a_body_that_can_not_be_kept_is_refused(
    provider: Provider, content: bytes, content_type: str, status: int, scim_type: str | None
) -> None:
    answer = provider.http.post(f"{provider.url}/Users", content=content, headers={"Content-Type": content_type})
    assert is_error(answer, status, scim_type), answer.text
    assert provider.found("/Users")["totalResults"] == 0


def test_what_could_not_be_answered_is_not_done(provider: Provider) -> None:
    answer = provider.ask("POST", "/Users?attributes=id&excludedAttributes=meta", user("ann"))
    assert is_error(answer, 400, "invalidValue")
    assert provider.found("/Users")["totalResults"] == 0


def test_ten_thousand_members_are_too_many_for_one_request_and_five_thousand_are_not(provider: Provider) -> None:
    ann = provider.new_user("ann")["id"]
    crew = provider.new_group("Crew")["id"]
    many = [{"value": f"usr_{number:032x}"} for number in range(10_000)]
    for op in ("add", "replace", "remove"):
        answer = provider.patch(f"/Groups/{crew}", {"op": op, "path": "members", "value": many})
        assert is_error(answer, 413)
    assert is_error(provider.ask("PUT", f"/Groups/{crew}", group("Crew", members=many)), 413)
    assert provider.patch(f"/Groups/{crew}", {"op": "remove", "path": "members", "value": many[:5_000]}).is_success
    assert provider.patch(f"/Groups/{crew}", {"op": "add", "path": "members", "value": [{"value": ann}]}).is_success


def test_departures_from_the_standard_are_counted_by_rule_and_provider(node: NodeProcess) -> None:
    entra = Provider(node, provider="entra")
    id = entra.new_user("ann")["id"]

    def counted() -> float:
        wanted = 'muniment_scim_leniency_total{provider="entra",rule="operation-case"}'
        lines = entra.operator.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(wanted))

    before = counted()
    entra.patch(f"/Users/{id}", {"op": "Replace", "path": "active", "value": False})
    entra.patch(f"/Users/{id}", {"op": "replace", "path": "active", "value": True})
    assert counted() == before + 1
    entra.close()
