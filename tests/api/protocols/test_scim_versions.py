"""Versions, moments and what is kept of a user beside what SCIM says."""

from typing import Any

import pytest

from tests.api.protocols.provisioning import Provider, group, user


@pytest.mark.parametrize("kind", ["Users", "Groups"])
def test_a_version_is_the_same_in_meta_and_header_and_grows_with_every_change(provider: Provider, kind: str) -> None:
    ann = provider.new_user("ann")
    made = ann if kind == "Users" else provider.new_group("Crew")
    path = f"/{kind}/{made['id']}"
    versions = [made["meta"]["version"]]
    changes: list[dict[str, Any]] = [{"op": "replace", "path": "displayName", "value": "New"}]
    if kind == "Groups":
        changes += [
            {"op": "add", "path": "members", "value": [{"value": ann["id"]}]},
            {"op": "remove", "path": "members"},
        ]
    for change in changes:
        told = provider.patch(path, change).headers["etag"]
        read = provider.get(path)
        assert read.headers["etag"] == read.json()["meta"]["version"] == told
        versions.append(told)
    assert len(set(versions)) == len(versions)
    assert all(version.startswith('W/"') for version in versions)


@pytest.mark.parametrize("kind", ["Users", "Groups"])
def test_a_change_of_what_has_changed_meanwhile_is_refused(provider: Provider, kind: str) -> None:
    made = provider.new_user("ann") if kind == "Users" else provider.new_group("Crew")
    path, old = f"/{kind}/{made['id']}", made["meta"]["version"]
    rename = {"op": "replace", "path": "displayName", "value": "New"}
    now = provider.patch(path, rename, If_Match=old).headers["etag"]
    other = {"op": "replace", "path": "displayName", "value": "Newer"}
    assert provider.patch(path, other, If_Match=old).status_code == 412
    assert provider.ask("PUT", path, made, If_Match=old).status_code == 412
    assert provider.ask("DELETE", path, If_Match=old).status_code == 412
    assert provider.found(path)["displayName"] == "New"
    assert provider.patch(path, other, If_Match=f'"nonsense", {now}').is_success
    assert provider.ask("DELETE", path, If_Match="*").status_code == 204


def test_a_group_that_has_other_members_is_another_version(provider: Provider) -> None:
    ann = provider.new_user("ann")["id"]
    crew = provider.new_group("Crew")
    path = f"/Groups/{crew['id']}"
    provider.patch(path, {"op": "add", "path": "members", "value": [{"value": ann}]})
    assert provider.ask("PUT", path, group("Crew"), If_Match=crew["meta"]["version"]).status_code == 412


def test_what_was_is_answered_as_of_a_position_and_a_time(provider: Provider) -> None:
    ann = provider.new_user("ann", displayName="Before", externalId="1")
    crew = provider.new_group("Crew", ann["id"])
    position = provider.head
    provider.patch(f"/Users/{ann['id']}", {"op": "replace", "path": "displayName", "value": "After"})
    provider.ask("DELETE", f"/Groups/{crew['id']}")
    provider.ask("DELETE", f"/Users/{ann['id']}")
    for moment in (position, crew["meta"]["created"]):
        then = provider.found(f"/Users/{ann['id']}?as_of={moment}")
        assert then["displayName"] == "Before"
        assert then["meta"] == ann["meta"]
        assert [each["value"] for each in then["groups"]] == [crew["id"]]
        assert provider.found(f"/Groups/{crew['id']}?as_of={moment}") == crew
        assert provider.found(f'/Users?as_of={moment}&filter=externalId eq "1"')["totalResults"] == 1
        assert provider.found(f"/Users?as_of={moment}")["totalResults"] == 1
        assert provider.found(f'/Users?as_of={moment}&filter=displayName eq "before"')["totalResults"] == 1
    assert provider.found("/Users")["totalResults"] == 0
    assert provider.get(f"/Users/{ann['id']}?as_of={2**40}").status_code == 404


def test_an_answer_names_the_position_it_is_of(provider: Provider) -> None:
    answer = provider.ask("POST", "/Users", user("ann"))
    assert answer.headers["muniment-position"] == f"{provider.tenant}:{provider.head}"
    read = provider.get("/Users", Muniment_Position=answer.headers["muniment-position"])
    assert read.json()["totalResults"] == 1


def test_a_user_is_told_their_groups_and_what_those_are_called(provider: Provider) -> None:
    ann = provider.new_user("ann")["id"]
    crew, staff = (provider.new_group(name, ann)["id"] for name in ("Crew", "Staff"))
    provider.patch(f"/Groups/{crew}", {"op": "replace", "path": "displayName", "value": "Crew of Nine"})
    provider.ask("DELETE", f"/Groups/{staff}")
    expected = [{"value": crew, "$ref": f"{provider.url}/Groups/{crew}", "display": "Crew of Nine", "type": "direct"}]
    assert provider.found(f"/Users/{ann}")["groups"] == expected
    assert provider.patch(f"/Users/{ann}", {"op": "add", "path": "title", "value": "x"}).json()["groups"] == expected
    assert provider.find("Users", f'groups.value eq "{crew}"')[0]["groups"] == expected
    assert provider.find("Users", f'groups.value eq "{staff}"') == []
    assert [found["id"] for found in provider.find("Users", 'groups.display co "nine"')] == [ann]
    assert "groups" not in provider.found(f"/Users/{ann}?excludedAttributes=groups")
    (member,) = provider.found(f"/Groups/{crew}")["members"]
    assert member == {"value": ann, "$ref": provider.found(f"/Users/{ann}")["meta"]["location"], "type": "User"}


def test_a_deleted_user_is_a_member_of_nothing(provider: Provider) -> None:
    ann, ben = (provider.new_user(name)["id"] for name in ("ann", "ben"))
    crew = provider.new_group("Crew", ann, ben)["id"]
    provider.ask("DELETE", f"/Users/{ann}")
    assert provider.members(crew) == {ben}


def test_what_rest_says_of_a_user_and_what_scim_says_are_one(provider: Provider) -> None:
    ann = provider.new_user("ann", emails=[{"type": "work", "value": "a@x.example"}], title="Pilot")["id"]
    path = f"/v1/tenants/{provider.tenant}/users/{ann}"
    told = provider.operator.get(path).json()
    assert (told["email"], told["directory"]) == ("a@x.example", provider.directory)
    provider.operator.patch(path, json={"email": "b@x.example"}).raise_for_status()
    assert provider.found(f"/Users/{ann}")["emails"] == [{"type": "work", "value": "b@x.example"}]


def test_what_rest_keeps_of_a_user_survives_what_scim_sends(provider: Provider) -> None:
    ann = provider.new_user("ann", title="Pilot")["id"]
    path = f"/v1/tenants/{provider.tenant}/users/{ann}"
    odd = {"shoe": {"size": 42}, "emails": "none", "name": [1], "phoneNumbers": [{"value": 5}], "active": 7}
    provider.operator.patch(path, json={"attributes": odd}).raise_for_status()
    assert provider.found(f"/Users/{ann}")["userName"] == "ann"
    assert provider.find("Users", 'phoneNumbers.value eq "5" or userName eq "ann"')[0]["id"] == ann
    assert provider.patch(f"/Users/{ann}", {"op": "add", "path": "title", "value": "Cook"}).status_code == 200
    assert provider.ask("PUT", f"/Users/{ann}", user("ann", nickName="An")).status_code == 200
    assert provider.operator.get(path).json()["attributes"]["shoe"] == {"size": 42}
    assert provider.found(f"/Users/{ann}")["nickName"] == "An"


def test_an_erased_user_is_gone_and_was_nobody_anyone_can_name(provider: Provider) -> None:
    ann = provider.new_user("ann@x.example", displayName="Ann Lee", externalId="1", title="Pilot")
    assert provider.found("/Users?sortBy=userName")["Resources"][0]["userName"] == "ann@x.example"
    position = provider.head
    provider.operator.post(f"/v1/tenants/{provider.tenant}/users/{ann['id']}/erase").raise_for_status()
    assert provider.found("/Users?sortBy=userName")["Resources"] == []
    then = provider.found(f"/Users/{ann['id']}?as_of={position}")
    assert {"userName", "displayName", "externalId", "title"}.isdisjoint(then)
    listed = provider.found(f"/Users?sortBy=userName&as_of={position}")
    assert "Lee" not in str(listed)
    assert provider.new_user("ann@x.example", externalId="1")["id"] != ann["id"]
