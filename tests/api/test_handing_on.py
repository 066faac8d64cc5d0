"""Nobody hands on more than they have, for longer than they have it, or in somebody else's name; not even in a race."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import httpx
import pytest

from api.refusals import problem_of
from domain.ledger import TooLarge
from tests.node import NodeProcess

READ, ERASE = "users:read", "users:erase"


class Office(NamedTuple):
    """A tenant of its own, and the operator's door to it."""

    node: NodeProcess
    operator: httpx.Client
    base: str

    def make(self, path: str, body: dict[str, Any], by: str | None = None) -> Any:
        answer = self.ask("POST", path, body, by)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def put(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return self.operator.put(f"{self.base}{path}", json=body).raise_for_status().json()

    def ask(self, method: str, path: str, body: Any = None, by: str | None = None, **headers: str) -> httpx.Response:
        """By a key, or the operator."""
        bearer = {"Authorization": f"Bearer {by}"} if by else {}
        return self.operator.request(method, f"{self.base}{path}", json=body, headers={**bearer, **headers})

    def key(self, *permissions: str, **more: Any) -> str:
        key: str = self.make("/keys", {"permissions": list(permissions), **more})["key"]
        return key

    def user(self) -> str:
        id: str = self.make("/users", {"user_name": uuid.uuid4().hex})["id"]
        return id

    def role(self, *permissions: str) -> str:
        id: str = self.make("/roles", {"name": f"r{uuid.uuid4().hex}", "permissions": list(permissions)})["id"]
        return id

    def assign(self, role: str, subject: str, expires_at: str | None = None) -> None:
        self.put(f"/roles/{role}/assignments/{subject}", {"expires_at": expires_at})

    def person(self, *permissions: str, until: str | None = None) -> tuple[str, str]:
        """A user with a role of these permissions, and their key of the same."""
        user = self.user()
        self.assign(self.role(*permissions), user, until)
        return user, self.key(*permissions, holder=user)


@pytest.fixture(scope="module")
def office(node: NodeProcess) -> Any:
    with node.client() as operator:
        tenant = operator.post("/v1/tenants", json={"name": f"Handing on {uuid.uuid4().hex}"}).json()["id"]
        yield Office(node, operator, f"/v1/tenants/{tenant}")


def soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def refused(answer: httpx.Response, because: str) -> None:
    assert answer.status_code == 403, answer.text
    assert because in answer.json()["detail"]


def test_no_key_is_issued_after_its_issuer_has_lost_what_it_permits(office: Office) -> None:
    for _ in range(4):
        user, role = office.user(), office.role("keys:manage", ERASE)
        office.assign(role, user)
        key = office.key("keys:manage", ERASE, holder=user)

        def issue(_: int, key: str = key, user: str = user) -> httpx.Response:
            return office.ask("POST", "/keys", {"permissions": [ERASE], "holder": user}, key)

        with ThreadPoolExecutor(8) as pool:
            answers = [pool.submit(issue, each) for each in range(8)]
            changing = pool.submit(office.put, f"/roles/{role}", {"permissions": ["keys:manage"]})
            answers += [pool.submit(issue, each) for each in range(12)]
            lost = changing.result()["position"]
            found = [each.result() for each in answers]
        assert {each.status_code for each in found} <= {201, 403, 503}
        assert all(each.json()["position"] < lost for each in found if each.status_code == 201)
        refused(issue(0), "issuer does not have")


def test_a_key_that_manages_directories_and_no_people_gets_no_directorys_token(office: Office) -> None:
    some = office.key("directories:manage", "users:read", "users:manage", "groups:read")
    every = office.key("directories:manage", "users:read", "users:manage", "groups:read", "groups:manage")
    refused(office.ask("POST", "/directories", {"name": "Feed"}, some), "reads and manages users and groups")
    made = office.make("/directories", {"name": "Feed"}, every)
    refused(office.ask("POST", f"/directories/{made['id']}/tokens", {}, some), "reads and manages users and groups")
    office.make(f"/directories/{made['id']}/tokens", {}, every)


def test_nobody_joins_a_group_to_get_a_role_that_they_could_not_be_given(office: Office) -> None:
    user, key = office.person("groups:manage", READ)
    group = office.make("/groups", {"display_name": "Owners' friends"})["id"]
    joining = f"/groups/{group}/members/{user}"
    office.assign(office.role(READ), group)
    assert office.ask("PUT", joining, by=key).status_code == 200
    office.ask("DELETE", joining, by=key)
    powerful = office.role(ERASE)
    office.assign(powerful, group)
    refused(office.ask("PUT", joining, by=key), "gets roles that permit what you may not do")
    office.operator.delete(f"{office.base}/roles/{powerful}/assignments/{group}")
    assert office.ask("PUT", joining, by=key).json()["changed"] is True


def test_nobody_joins_a_group_while_it_is_given_more(office: Office) -> None:
    """Whichever comes first: then the other is refused, or was decided when there was nothing to refuse."""
    joiner = office.key("groups:manage", READ)
    for _ in range(6):
        group, users = (
            office.make("/groups", {"display_name": "Soon powerful"})["id"],
            [office.user() for _ in range(6)],
        )
        role = office.role(ERASE)
        with ThreadPoolExecutor(8) as pool:
            joining = [
                pool.submit(office.ask, "PUT", f"/groups/{group}/members/{user}", None, joiner) for user in users[:3]
            ]
            giving = pool.submit(office.put, f"/roles/{role}/assignments/{group}", {})
            joining += [
                pool.submit(office.ask, "PUT", f"/groups/{group}/members/{user}", None, joiner) for user in users[3:]
            ]
            given = giving.result()["position"]
            answers = [each.result() for each in joining]
        assert {each.status_code for each in answers} <= {200, 403, 503}
        assert all(each.json()["position"] < given for each in answers if each.status_code == 200)


def test_a_key_with_an_end_issues_none_that_outlasts_it(office: Office) -> None:
    end = soon(3600)
    key = office.key(
        "keys:manage", "directories:manage", READ, "users:manage", "groups:read", "groups:manage", expires_at=end
    )
    body = {"permissions": [READ]}
    refused(office.ask("POST", "/keys", body, key), "can't outlast its giver")
    refused(office.ask("POST", "/keys", {**body, "expires_at": soon(3700)}, key), "can't outlast its giver")
    refused(office.ask("POST", "/directories", {"name": "Feed"}, key), "can't outlast its giver")
    office.make("/keys", {**body, "expires_at": end}, key)
    lasting = office.make("/keys", body)["id"]
    refused(office.ask("POST", f"/keys/{lasting}/rotate", {}, key), "can't outlast its giver")


def test_who_may_assign_until_an_end_assigns_until_then(office: Office) -> None:
    end = soon(3600)
    _, key = office.person("roles:assign", READ, until=end)
    path = f"/roles/{office.role(READ)}/assignments/{office.user()}"
    refused(office.ask("PUT", path, {}, key), "can't outlast its giver")
    refused(office.ask("PUT", path, {"expires_at": soon(3700)}, key), "can't outlast its giver")
    assert office.ask("PUT", path, {"expires_at": end}, key).status_code == 200


def test_who_may_change_roles_until_an_end_adds_nothing_to_one(office: Office) -> None:
    _, key = office.person("roles:manage", READ, until=soon(3600))
    role = office.role("roles:manage")
    refused(
        office.ask("PUT", f"/roles/{role}", {"permissions": ["roles:manage", READ]}, key), "can't outlast its giver"
    )
    assert office.ask("PUT", f"/roles/{role}", {"permissions": []}, key).status_code == 200


def test_a_manager_of_keys_gets_no_key_in_another_users_name(office: Office) -> None:
    fry, frys = office.person("keys:manage", READ)
    leela, leelas = office.person("keys:manage", READ)
    of_leela = {"permissions": [READ], "holder": leela}
    issued = office.make("/keys", of_leela, leelas)["id"]
    for other in (frys, office.key("keys:manage", READ)):
        refused(office.ask("POST", "/keys", of_leela, other), "acts in their name")
        refused(office.ask("POST", f"/keys/{issued}/rotate", {}, other), "acts in their name")
    assert office.ask("POST", f"/keys/{issued}/rotate", {}, leelas).status_code == 200
    office.assign("rol_owner", fry)
    office.make("/keys", of_leela, frys)
    assert office.ask("POST", f"/keys/{issued}/rotate", {}, frys).status_code == 200


def test_a_replaced_secret_still_reads_and_locks_nobody_out(office: Office) -> None:
    made = office.make("/keys", {"permissions": ["keys:manage", "keys:read", READ]})
    path, former = f"/keys/{made['id']}", made["key"]
    key = office.ask("POST", f"{path}/rotate", {}, former).json()["key"]
    assert office.ask("GET", path, by=former).status_code == 200
    refused(office.ask("POST", f"{path}/rotate", {}, former), "this secret was replaced")
    refused(office.ask("POST", "/keys", {"permissions": [READ]}, former), "this secret was replaced")
    assert office.ask("POST", f"{path}/rotate", {}, key).status_code == 200
    assert office.ask("GET", path, by=former).status_code == 401, "only the last secret has an overlap"


def test_only_one_of_two_rotations_by_the_same_secret_is_done(office: Office) -> None:
    for _ in range(4):
        made = office.make("/keys", {"permissions": ["keys:manage"]})
        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(office.ask, "POST", f"/keys/{made['id']}/rotate", {}, made["key"]) for _ in range(4)]
            answers = sorted(each.result().status_code for each in asking)
        assert answers.count(200) == 1, answers
        assert set(answers) <= {200, 403, 503}


def test_a_role_has_at_most_200_permissions(office: Office) -> None:
    many = [f"forms:stamp{number}" for number in range(201)]
    role = office.role(*many[:200])
    for answer in (
        office.ask("POST", "/roles", {"name": "many", "permissions": many}),
        office.ask("PUT", f"/roles/{role}", {"permissions": many}),
    ):
        assert answer.status_code == 422
        assert "permissions" in str(answer.json()["errors"][0])


def test_what_is_too_large_to_record_is_refused_with_what_to_do() -> None:
    problem = problem_of(TooLarge("RoleChanged would take 70000 bytes; at most 65535 fit: send less at once"))
    assert problem.status_code == 422
    assert "send less" in problem.detail


def test_a_role_that_permits_more_than_ones_own_is_neither_emptied_nor_retired(office: Office) -> None:
    key, role = office.key("roles:manage", READ), office.role(READ, ERASE)
    refused(office.ask("PUT", f"/roles/{role}", {"permissions": []}, key), "no more than you may do")
    refused(office.ask("DELETE", f"/roles/{role}", by=key), "no more than you may do")
    less = office.role(READ, "forms:stamp")
    assert office.ask("PUT", f"/roles/{less}", {"permissions": ["forms:file"]}, key).status_code == 200
    assert office.ask("DELETE", f"/roles/{less}", by=key).status_code == 200


@pytest.mark.parametrize("path", ["/keys", "/keys/{key}/rotate", "/directories", "/directories/{directory}/tokens"])
def test_a_retry_that_can_not_be_told_the_secret_again_says_of_what_it_is(office: Office, path: str) -> None:
    key, directory = office.make("/keys", {"permissions": [READ]})["id"], office.make("/directories", {"name": "A"})
    path = path.format(key=key, directory=directory["id"])
    body = {"/keys": {"permissions": [READ]}, "/directories": {"name": "B"}}.get(path, {})
    once = uuid.uuid4().hex
    first = office.ask("POST", path, body, **{"Idempotency-Key": once}).json()
    again = office.ask("POST", path, body, **{"Idempotency-Key": once})
    assert again.status_code == 409
    assert again.json()["id"] == first["id"]
    assert again.json().get("token_id") == first.get("token_id")


def test_what_is_refused_in_handing_on_is_in_the_trail(office: Office) -> None:
    key = office.key("keys:manage")
    answer = office.ask("POST", "/keys", {"permissions": [ERASE]}, key)
    refused(answer, "issuer does not have")
    correlation = answer.headers["X-Request-ID"]
    trail = office.operator.get(f"{office.base}/trail", params={"correlation": correlation})
    assert [each["type"] for each in trail.json()["items"]] == ["CommandRefused"], trail.text
