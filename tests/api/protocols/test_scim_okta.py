"""What Okta sends, against a running node."""

from typing import Any

from tests.api.protocols.provisioning import Provider, group, user


def test_o1_nobody_is_found_before_they_are_made(provider: Provider) -> None:
    listed = provider.found('/Users?filter=userName eq "ann@x.example"&startIndex=1&count=100')
    assert listed["totalResults"] == 0


def test_o2_o3_a_new_user_is_answered_whole_and_without_the_password(provider: Provider) -> None:
    sent = user(
        "ann@x.example",
        name={"givenName": "Ann", "familyName": "Lee"},
        emails=[{"primary": True, "value": "ann@x.example", "type": "work"}],
        displayName="Ann Lee",
        locale="en-US",
        externalId="00ujl29u0le5T6Aj10h7",
        groups=[],
        password="1mz050nq",
        active=True,
    )
    answer = provider.ask("POST", "/Users", sent)
    assert answer.status_code == 201
    made = answer.json()
    kept = {name: value for name, value in sent.items() if name not in ("password", "groups")}
    assert {name: made[name] for name in kept} == kept
    assert "password" not in made
    assert made == provider.found(f"/Users/{made['id']}")
    assert answer.headers["location"] == made["meta"]["location"] == f"{provider.url}/Users/{made['id']}"
    assert answer.headers["etag"] == made["meta"]["version"]
    assert "1mz050nq" not in str(provider.events())


def test_o4_a_user_name_that_is_taken_is_a_conflict(provider: Provider) -> None:
    provider.new_user("ann@x.example")
    answer = provider.ask("POST", "/Users", user("ANN@x.example"))
    assert answer.status_code == 409
    assert answer.json()["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert (answer.json()["status"], answer.json()["scimType"]) == ("409", "uniqueness")


def test_o5_put_deactivates_and_put_sets_members(provider: Provider) -> None:
    ann, ben = (provider.new_user(name) for name in ("ann", "ben"))
    assert provider.ask("PUT", f"/Users/{ann['id']}", {**ann, "active": False}).json()["active"] is False
    assert provider.ask("PUT", f"/Users/{ann['id']}", {**ann, "active": True}).json()["active"] is True
    crew = provider.new_group("Crew", ann["id"])["id"]
    assert provider.ask("PUT", f"/Groups/{crew}", group("Crew", ben["id"])).status_code == 200
    assert provider.members(crew) == {ben["id"]}


def test_o6_o7_a_deactivation_without_path_changes_nothing_else_and_is_undone(provider: Provider) -> None:
    before = provider.new_user("ann", displayName="Ann", emails=[{"value": "a@x.example"}])
    id = before["id"]
    for active in (False, True):
        provider.patch(f"/Users/{id}", {"op": "replace", "value": {"active": active}})
        found = provider.found(f"/Users/{id}")
        assert {**found, "meta": None} == {**before, "active": active, "meta": None}
    assert [event["type"] for event in provider.events()[-2:]] == ["UserDeactivated", "UserReactivated"]


def test_o8_a_rename_with_an_id_in_its_value_keeps_the_members(provider: Provider) -> None:
    ann = provider.new_user("ann")["id"]
    crew = provider.new_group("Crew", ann)["id"]
    rename = {"op": "replace", "value": {"id": crew, "displayName": "Staff"}}
    assert provider.patch(f"/Groups/{crew}", rename).status_code == 204
    assert provider.found(f"/Groups/{crew}")["displayName"] == "Staff"
    assert provider.members(crew) == {ann}


def test_o9_members_are_exchanged_in_one_request(provider: Provider) -> None:
    ann, ben = (provider.new_user(name)["id"] for name in ("ann", "ben"))
    crew = provider.new_group("Crew", ann)["id"]
    exchanged = provider.patch(
        f"/Groups/{crew}",
        {"op": "remove", "path": f'members[value eq "{ann}"]'},
        {"op": "add", "path": "members", "value": [{"value": ben, "display": "ben"}]},
    )
    assert exchanged.status_code == 204
    removed, added = provider.events()[-2:]
    assert (removed["type"], added["type"]) == ("MemberRemoved", "MemberAdded")
    assert removed["command"] == added["command"]
    assert provider.members(crew) == {ben}


def test_o10_a_full_push_is_the_exact_set_also_of_nobody(provider: Provider) -> None:
    ann, ben, cat = (provider.new_user(name)["id"] for name in ("ann", "ben", "cat"))
    crew = provider.new_group("Crew", ann)["id"]
    pushes: list[tuple[Any, set[str]]] = [
        ({"op": "replace", "path": "members", "value": [{"value": ben}, {"value": cat}]}, {ben, cat}),
        ({"op": "replace", "path": "members", "value": []}, set()),
        ({"op": "replace", "value": {"members": [{"value": ann}]}}, {ann}),
        ({"op": "replace", "value": {"members": [], "id": crew, "displayName": "Crew"}}, set()),
    ]
    for operation, expected in pushes:
        assert provider.patch(f"/Groups/{crew}", operation).status_code == 204
        assert provider.members(crew) == expected


def test_o11_a_group_put_with_members_has_exactly_those(provider: Provider) -> None:
    ann, ben, cat = (provider.new_user(name)["id"] for name in ("ann", "ben", "cat"))
    crew = provider.new_group("Crew", ann, ben)["id"]
    answer = provider.ask("PUT", f"/Groups/{crew}", group("Crew", ben, cat))
    assert {member["value"] for member in answer.json()["members"]} == provider.members(crew) == {ben, cat}


def test_o12_pages_are_numbered_and_in_one_order(provider: Provider) -> None:
    ids = [provider.new_user(f"user{number:02}")["id"] for number in range(7)]
    seen = []
    for start in (1, 4, 7):
        page = provider.found(f"/Users?startIndex={start}&count=3")
        assert (page["totalResults"], page["startIndex"]) == (7, start)
        assert page["itemsPerPage"] == len(page["Resources"]) == min(3, 8 - start)
        seen += [found["id"] for found in page["Resources"]]
    assert seen == sorted(ids)
    assert provider.found("/Users?startIndex=8")["Resources"] == []
    assert provider.found("/Users?count=0")["totalResults"] == 7


def test_o13_a_deleted_group_is_gone(provider: Provider) -> None:
    crew = provider.new_group("Crew", provider.new_user("ann")["id"])["id"]
    assert provider.ask("DELETE", f"/Groups/{crew}").status_code == 204
    assert provider.get(f"/Groups/{crew}").status_code == 404
    assert provider.ask("DELETE", f"/Groups/{crew}").status_code == 404


def test_the_filters_of_oktas_own_specification_are_answered(provider: Provider) -> None:
    made = provider.new_user("ann@x.example", name={"givenName": "A", "familyName": "L"}, emails=[{"value": "a@x"}])
    (first,) = provider.found("/Users?count=1&startIndex=1")["Resources"]
    assert first["name"]["familyName"]
    assert first["emails"][0]["value"]
    assert first["active"] is True
    assert provider.find("Users", 'userName eq "ANN@X.EXAMPLE"') == [made]
    unauthenticated = provider.get("/Users", Authorization="Bearer nothing")
    assert (unauthenticated.status_code, unauthenticated.json()["status"]) == (401, "401")
