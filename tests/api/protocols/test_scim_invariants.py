"""What holds whichever provider asks, against a running node."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from adapters.scim.schema import GROUP
from tests.api.protocols.provisioning import Provider, group, user


def test_x1_a_removal_without_value_empties_a_group_and_one_with_a_list_does_not(provider: Provider) -> None:
    ann, ben = (provider.new_user(name)["id"] for name in ("ann", "ben"))
    crew = provider.new_group("Crew", ann, ben)["id"]
    provider.patch(f"/Groups/{crew}", {"op": "remove", "path": "members", "value": [{"value": ann}]})
    assert provider.members(crew) == {ben}
    provider.patch(f"/Groups/{crew}", {"op": "remove", "path": "members"})
    assert provider.members(crew) == set()


def test_x2_a_replacement_that_names_no_members_keeps_them(provider: Provider) -> None:
    ann = provider.new_user("ann")["id"]
    crew = provider.new_group("Crew", ann)["id"]
    provider.patch(f"/Groups/{crew}", {"op": "replace", "value": {"displayName": "Staff", "externalId": "g1"}})
    assert provider.members(crew) == {ann}


@pytest.mark.parametrize("kind", ["Users", "Groups"])
def test_x3_one_bad_operation_refuses_the_whole_patch(provider: Provider, kind: str) -> None:
    ann = provider.new_user("ann")["id"]
    id = ann if kind == "Users" else provider.new_group("Crew", ann)["id"]
    head = provider.head
    answer = provider.patch(
        f"/{kind}/{id}",
        {"op": "replace", "path": "displayName", "value": "Changed"},
        {"op": "replace", "path": "no such thing", "value": 1},
    )
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("operation 2")
    assert provider.head == head


def test_x3_one_member_that_does_not_exist_refuses_the_whole_patch(provider: Provider) -> None:
    ann = provider.new_user("ann")["id"]
    ben = provider.new_user("ben")["id"]
    crew = provider.new_group("Crew")["id"]
    provider.ask("DELETE", f"/Users/{ben}")
    for unknown in (ben, "nobody", "usr_" + "0" * 32):
        add = {"op": "add", "path": "members", "value": [{"value": ann}, {"value": unknown}]}
        answer = provider.patch(f"/Groups/{crew}", {"op": "replace", "path": "displayName", "value": "Changed"}, add)
        assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")
        assert unknown not in answer.text
    assert provider.members(crew) == set()
    assert provider.found(f"/Groups/{crew}")["displayName"] == "Crew"
    refused = provider.ask("POST", "/Groups", group("Other", "nobody"))
    assert (refused.status_code, refused.json()["scimType"]) == (400, "invalidValue")


def test_x4_concurrent_additions_to_one_group_lose_nobody(provider: Provider) -> None:
    ids = [provider.new_user(f"user{number}")["id"] for number in range(24)]
    crew = provider.new_group("Crew")["id"]

    def add(id: str) -> int:
        return provider.patch(f"/Groups/{crew}", {"op": "add", "path": "members", "value": [{"value": id}]}).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(add, ids)) == {204}
    assert provider.members(crew) == set(ids)


def test_x4_concurrent_changes_of_one_user_lose_nothing(provider: Provider) -> None:
    id = provider.new_user("ann")["id"]
    paths = ["displayName", "nickName", "title", "userType", "locale", "timezone"]

    def change(path: str) -> int:
        return provider.patch(f"/Users/{id}", {"op": "replace", "path": path, "value": path}).status_code

    with ThreadPoolExecutor(len(paths)) as pool:
        assert set(pool.map(change, paths)) == {200}
    found = provider.found(f"/Users/{id}")
    assert [found[path] for path in paths] == paths


def test_x5_members_have_several_names(provider: Provider) -> None:
    ann, ben = (provider.new_user(name)["id"] for name in ("ann", "ben"))
    crew = provider.new_group("Crew")["id"]
    provider.patch(f"/Groups/{crew}", {"op": "add", "path": "Members", "value": [{"value": ann}]})
    provider.patch(f"/Groups/{crew}", {"op": "add", "path": f"{GROUP.urn}:members", "value": [{"value": ben}]})
    assert provider.members(crew) == {ann, ben}


def test_x6_each_change_of_membership_is_an_event_that_names_its_source(provider: Provider) -> None:
    ann = provider.new_user("ann")["id"]
    crew = provider.new_group("Crew", ann)["id"]
    provider.ask("PUT", f"/Groups/{crew}", group("Crew"))
    added, removed = (event for event in provider.events() if event["type"].startswith("Member"))
    for event, kind in ((added, "MemberAdded"), (removed, "MemberRemoved")):
        assert event["type"] == kind
        assert event["data"] == {"group": crew, "member": ann}
        assert event["actor"] == {"kind": "directory", "id": provider.directory}
        assert event["request"]["route"].startswith("/scim/v2/")
        assert event["authority"]["permission"] == "groups:manage"


def test_x7_x8_a_deactivated_person_holds_no_keys_until_they_are_back(provider: Provider) -> None:
    id = provider.new_user("ann")["id"]
    base = f"/v1/tenants/{provider.tenant}"
    role = provider.operator.post(f"{base}/roles", json={"name": "reader", "permissions": ["audit:read"]}).json()["id"]
    provider.operator.put(f"{base}/roles/{role}/assignments/{id}", json={}).raise_for_status()
    issued = provider.operator.post(f"{base}/keys", json={"holder": id, "permissions": ["audit:read"]})
    assert issued.status_code == 201, issued.text
    theirs = {"Authorization": f"Bearer {issued.json()['key']}"}
    assert provider.operator.get(f"{base}/events", headers=theirs).status_code == 200
    provider.patch(f"/Users/{id}", {"op": "replace", "value": {"active": False}})
    assert provider.operator.get(f"{base}/events", headers=theirs).status_code == 401
    assert provider.found(f"/Users/{id}")["active"] is False


def test_x9_a_put_says_everything(provider: Provider) -> None:
    ann = provider.new_user("ann", active=False, displayName="Ann", externalId="1")["id"]
    answer = provider.ask("PUT", f"/Users/{ann}", user("ann"))
    assert answer.json()["active"] is True
    assert not {"displayName", "externalId"} & answer.json().keys()
    crew = provider.new_group("Crew", ann, externalId="g1")["id"]
    answer = provider.ask("PUT", f"/Groups/{crew}", group("Crew"))
    assert not {"members", "externalId"} & answer.json().keys()
    assert provider.members(crew) == set()


def resend(provider: Provider, made: list[tuple[str, Any]]) -> None:
    for path, body in made:
        assert provider.ask("PUT", path, body).status_code == 200
        assert provider.patch(path, {"op": "replace", "value": {"displayName": body["displayName"]}}).is_success


def test_x10_what_is_sent_again_unchanged_records_nothing(provider: Provider) -> None:
    ann = provider.new_user("ann", displayName="Ann", externalId="1", emails=[{"value": "a@x"}], title="Pilot")
    crew = provider.new_group("Crew", ann["id"], externalId="g1")
    made = [(f"/Users/{ann['id']}", ann), (f"/Groups/{crew['id']}", crew)]
    head = provider.head
    resend(provider, made)
    assert provider.head == head
    assert provider.ask("PUT", made[0][0], ann).headers["etag"] == ann["meta"]["version"]


def test_x10_a_keyed_request_acts_once_and_one_without_effect_is_noted_once(provider: Provider) -> None:
    body = user("ann", displayName="Ann")
    made = [provider.ask("POST", "/Users", body, Idempotency_Key="make-ann") for _ in range(2)]
    assert [answer.status_code for answer in made] == [201, 201]
    assert made[0].json() == made[1].json()
    id = made[0].json()["id"]
    for _ in range(2):
        assert provider.ask("PUT", f"/Users/{id}", body, Idempotency_Key="again").status_code == 200
    assert [event["type"] for event in provider.events()][-2:] == ["UserProvisioned", "CommandHadNoEffect"]
    other = provider.ask("POST", "/Users", user("ben"), Idempotency_Key="make-ann")
    assert other.status_code == 422
    gone = [provider.ask("DELETE", f"/Users/{id}", Idempotency_Key="unmake").status_code for _ in range(2)]
    assert gone == [204, 204]


def test_x10_a_second_user_with_an_external_id_is_refused_and_the_first_can_be_found(provider: Provider) -> None:
    ann = provider.new_user("ann", externalId="E1")["id"]
    refused = provider.ask("POST", "/Users", user("ann2", externalId="E1"))
    assert (refused.status_code, refused.json()["scimType"]) == (409, "uniqueness")
    assert [found["id"] for found in provider.find("Users", 'externalId eq "E1"')] == [ann]
    assert provider.new_user("ann3", externalId="e1")["externalId"] == "e1"
    crew = provider.new_group("Crew", externalId="E1")["id"]
    assert provider.ask("POST", "/Groups", group("Crew", externalId="E1")).status_code == 409
    assert [found["id"] for found in provider.find("Groups", 'externalId eq "E1"')] == [crew]


def test_a_name_is_free_again_once_its_user_is_deleted_or_renamed(provider: Provider) -> None:
    ann = provider.new_user("ann", externalId="1")["id"]
    provider.patch(f"/Users/{ann}", {"op": "replace", "value": {"userName": "anna"}})
    ben = provider.new_user("ann")["id"]
    taken = provider.patch(f"/Users/{ann}", {"op": "replace", "path": "userName", "value": "ANN"})
    assert (taken.status_code, taken.json()["scimType"]) == (409, "uniqueness")
    provider.ask("DELETE", f"/Users/{ben}")
    provider.ask("DELETE", f"/Users/{ann}")
    assert provider.new_user("anna", externalId="1")["id"] not in (ann, ben)
