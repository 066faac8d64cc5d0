"""The trail and the events of a tenant: paging, filters, waiting, streams, and what ends them."""

import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.organisation import Organisation, organisation
from tests.node import NodeProcess, running_node


@pytest.fixture(scope="module")
def audited(node: NodeProcess) -> Organisation:
    return organisation(node, "Audited")


def add_user(client: httpx.Client, base: str, name: str) -> dict[str, Any]:
    answer = client.post(f"{base}/users", json={"user_name": name})
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def issue(client: httpx.Client, base: str, *permissions: str) -> dict[str, str]:
    answer = client.post(f"{base}/keys", json={"permissions": list(permissions)})
    answer.raise_for_status()
    found: dict[str, str] = answer.json()
    return found


def test_the_trail_of_a_person_says_who_did_what_under_what_authority(node: NodeProcess, audited: Organisation) -> None:
    base = f"/v1/tenants/{audited.ids['tenant']}"
    with node.client(audited.key) as client:
        user = add_user(client, base, "searched")
        items = client.get(f"{base}/trail", params={"subject": user["id"]}).json()["items"]
        (found,) = items
        assert found["type"] == "UserProvisioned"
        assert found["actor"] == {"kind": "service", "id": audited.ids["key"]}
        assert found["authority"]["permission"] == "users:manage"
        assert found["data"]["user_name"] == "searched"
        assert found["request"]["route"] == "/v1/tenants/{tenant}/users"
        by_correlation = client.get(f"{base}/trail", params={"correlation": found["correlation"]}).json()["items"]
        assert by_correlation == items
        by_actor = client.get(f"{base}/trail", params={"actor": audited.ids["key"], "limit": 500}).json()["items"]
        assert found in by_actor


def test_pages_of_the_trail_join_without_gap_in_both_orders(node: NodeProcess, audited: Organisation) -> None:
    with node.client(audited.key) as client:
        for order in ("oldest", "newest"):
            positions: list[int] = []
            cursor: dict[str, str] = {}
            while True:
                page = client.get("/v1/trail", params={"order": order, "limit": 3, "to": 9, **cursor}).json()
                positions += [each["position"] for each in page["items"]]
                if page["next"] is None:
                    break
                cursor = {"cursor": page["next"]}
            assert positions == (list(range(1, 10)) if order == "oldest" else list(range(9, 0, -1)))


def test_an_operator_names_the_tenant_and_a_tenants_key_need_not(node: NodeProcess, audited: Organisation) -> None:
    tenant = audited.ids["tenant"]
    with node.client() as operator, node.client(audited.key) as own:
        mine = own.get("/v1/events", params={"limit": 3}).json()["items"]
        assert operator.get("/v1/events", params={"limit": 3, "tenant": tenant}).json()["items"] == mine
        other = own.get("/v1/events", params={"tenant": "ten_" + "0" * 32})
        assert other.status_code == 404


def test_a_long_poll_answers_as_soon_as_something_happens(node: NodeProcess, audited: Organisation) -> None:
    base = f"/v1/tenants/{audited.ids['tenant']}"
    with node.client(audited.key) as client, node.client(audited.key) as other:
        head = client.get(f"{base}/events", params={"after": 0, "limit": 1}).json()["head"]
        answers: list[httpx.Response] = []
        wanted = {"after": head, "wait": 30, "type": "UserProvisioned"}
        waiting = threading.Thread(target=lambda: answers.append(client.get(f"{base}/events", params=wanted)))
        waiting.start()
        add_user(other, base, "awaited")
        waiting.join()
        assert [each["data"]["user_name"] for each in answers[0].json()["items"]] == ["awaited"]


def test_a_key_that_is_revoked_while_it_waits_is_told_nothing(node: NodeProcess, audited: Organisation) -> None:
    base = f"/v1/tenants/{audited.ids['tenant']}"
    with node.client(audited.key) as owner:
        key = issue(owner, base, "audit:read")
        head = owner.get(f"{base}/events", params={"limit": 1}).json()["head"]
        answers: list[httpx.Response] = []
        with node.client(key["key"]) as client:
            wanted = {"after": head + 1, "wait": 30, "type": "UserProvisioned"}
            waiting = threading.Thread(target=lambda: answers.append(client.get(f"{base}/events", params=wanted)))
            waiting.start()
            owner.delete(f"{base}/keys/{key['id']}").raise_for_status()
            add_user(owner, base, "secretly")
            waiting.join()
        assert answers[0].status_code == 401, answers[0].text


def test_a_stream_goes_on_from_the_last_event_and_ends_with_its_key(node: NodeProcess, audited: Organisation) -> None:
    base = f"/v1/tenants/{audited.ids['tenant']}"
    with node.client(audited.key) as owner:
        key = issue(owner, base, "audit:read")
        ids: list[int] = []
        with (
            node.client(key["key"]) as client,
            client.stream("GET", f"{base}/events/stream", headers={"Last-Event-ID": "2"}) as stream,
        ):
            assert stream.headers["content-type"].startswith("text/event-stream")
            for line in stream.iter_lines():
                if line.startswith("id: "):
                    ids.append(int(line[4:]))
                    if len(ids) == 3:
                        owner.delete(f"{base}/keys/{key['id']}").raise_for_status()
        assert ids[:3] == [3, 4, 5]
        assert "users" not in str(ids)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"])
def test_moments_at_the_ends_of_time_break_nothing(node: NodeProcess, audited: Organisation, moment: str) -> None:
    base = f"/v1/tenants/{audited.ids['tenant']}"
    with node.client(audited.key) as client:
        for path in (f"{base}/users?as_of={moment}", f"{base}/trail?from={moment}"):
            assert client.get(path).status_code in (200, 422)


def test_an_end_beyond_all_calendars_is_refused_and_breaks_no_listing(node: NodeProcess, audited: Organisation) -> None:
    base = f"/v1/tenants/{audited.ids['tenant']}"
    with node.client() as client:
        body = {"permissions": ["users:read"], "expires_at": "9999-12-31T23:59:59-12:00"}
        assert client.post(f"{base}/keys", json=body).status_code == 422
        body["expires_at"] = "9999-12-31T23:59:59Z"
        assert client.post(f"{base}/keys", json=body).status_code == 201
        listed = client.get(f"{base}/keys").json()["items"]
        assert "9999-12-31T23:59:59.000000Z" in [each["expires_at"] for each in listed]


def test_a_retry_is_recognised_by_actor_key_and_body(node: NodeProcess, audited: Organisation) -> None:
    base = f"/v1/tenants/{audited.ids['tenant']}"
    with node.client(audited.key) as client, node.client() as operator:
        headers = {"Idempotency-Key": "once"}
        first = client.post(f"{base}/users", json={"user_name": "retried"}, headers=headers)
        again = client.post(f"{base}/users", json={"user_name": "retried"}, headers=headers)
        assert (again.status_code, again.json()) == (201, first.json())
        other = client.post(f"{base}/users", json={"user_name": "another"}, headers=headers)
        assert other.status_code == 422
        elsewhere = operator.post(f"{base}/users", json={"user_name": "by-another"}, headers=headers)
        assert elsewhere.status_code == 201, "another actor's key is another key"
        trail = client.get(f"{base}/trail", params={"type": "UserProvisioned", "limit": 500}).json()["items"]
        assert [each["data"]["user_name"] for each in trail].count("retried") == 1


def test_a_denial_is_recorded_with_where_it_came_from(node: NodeProcess, audited: Organisation) -> None:
    base = f"/v1/tenants/{audited.ids['tenant']}"
    with node.client(audited.key) as owner:
        key = issue(owner, base, "users:read")
        with node.client(key["key"]) as client:
            assert client.post(f"{base}/users", json={"user_name": "denied"}).status_code == 403
        (found,) = owner.get(f"{base}/trail", params={"actor": key["id"]}).json()["items"]
    assert found["type"] == "CommandRefused"
    assert found["data"]["kind"] == "NotPermitted"
    assert found["request"]["route"] == "/v1/tenants/{tenant}/users"


def accesses(client: httpx.Client, **also: Any) -> list[dict[str, Any]]:
    """What the trail says of its own readers, oldest first."""
    params = {"type": ["TrailAccessed", "TrailAccessesSummarised"], "order": "oldest", "limit": 500, **also}
    found: list[dict[str, Any]] = client.get("/v1/trail", params=params).json()["items"]
    return found


def test_a_search_is_in_the_trail_before_it_is_answered(node: NodeProcess) -> None:
    audited = organisation(node, "Watched")
    with node.client(audited.key) as client:
        answer = client.get("/v1/trail", params={"subject": audited.ids["user"], "text": "someone"})
        assert answer.status_code == 200
        (access,) = [each for each in accesses(client) if each["data"]["kind"] == "search"][:1]
    assert access["actor"]["id"] == audited.ids["key"]
    assert access["authority"]["permission"] == "audit:read"
    assert access["data"]["question"] == f"subject={audited.ids['user']} text"
    assert access["data"]["count"] == len(answer.json()["items"]) > 0
    assert "someone" not in str(access["data"])
    assert access["data"]["unsealed"] > 0
    assert f"user:{audited.ids['user']}" not in access["tags"], "reading about somebody is no event about them"


def test_pages_and_repeated_questions_write_one_event(node: NodeProcess) -> None:
    audited = organisation(node, "Paged")
    with node.client(audited.key) as client:
        cursor: dict[str, str] = {}
        for _ in range(4):
            page = client.get("/v1/trail", params={"order": "oldest", "limit": 2, "to": 9, **cursor}).json()
            cursor = {"cursor": page["next"]}
        for _ in range(5):
            client.get("/v1/trail/counts").raise_for_status()
            client.get("/v1/trail/facets").raise_for_status()
        kinds = [each["data"]["kind"] for each in accesses(client)]
    assert kinds == ["search", "counts", "facets"]


def test_who_asks_very_many_questions_is_covered_by_one_event(node: NodeProcess) -> None:
    audited = organisation(node, "Crawled")
    with node.client(audited.key) as client:
        for position in range(1, 40):
            client.get("/v1/trail", params={"from": position, "to": position}).raise_for_status()
        found = [each["data"] for each in accesses(client)]
    assert 10 <= len(found) <= 12
    assert found[-1]["kind"] == "many"


def test_following_the_events_does_not_feed_on_itself(node: NodeProcess) -> None:
    audited = organisation(node, "Followed")
    base = f"/v1/tenants/{audited.ids['tenant']}"
    with node.client(audited.key) as client:
        after, steps = 0, 0
        while True:
            page = client.get(f"{base}/events", params={"after": after, "limit": 5}).json()
            if not page["items"]:
                break
            after, steps = page["next"], steps + 1
            assert steps < 20, "reading its own accesses makes it grow for ever"
        head = client.get(f"{base}/events", params={"after": after}).json()["head"]
        assert client.get(f"{base}/events", params={"after": after}).json()["head"] == head
        types = [each["type"] for each in client.get(f"{base}/events", params={"after": after - 1}).json()["items"]]
    assert types == ["TrailAccessed"]


def test_a_stream_is_recorded_once(node: NodeProcess) -> None:
    audited = organisation(node, "Streamed")
    base = f"/v1/tenants/{audited.ids['tenant']}"
    with node.client(audited.key) as client, node.client(audited.key) as other:
        seen = 0
        with client.stream("GET", f"{base}/events/stream", params={"lasts": 60}) as stream:
            for line in stream.iter_lines():
                if not line.startswith("id: "):
                    continue
                seen += 1
                if seen in (5, 6, 7):
                    add_user(other, base, f"streamed-{seen}")
                if seen >= 10:
                    break
        kinds = [each["data"]["kind"] for each in accesses(other)]
    assert kinds.count("stream") == 1


def test_sums_are_written_when_the_node_stops(tmp_path: Path) -> None:
    with running_node(tmp_path / "data") as first:
        audited = organisation(first, "Summed")
        with first.client(audited.key) as client:
            for _ in range(3):
                client.get("/v1/trail", params={"type": "UserProvisioned"}).raise_for_status()
    with running_node(tmp_path / "data") as second, second.client(audited.key) as client:
        (summary,) = client.get("/v1/trail", params={"type": "TrailAccessesSummarised"}).json()["items"]
    assert summary["actor"]["id"] == audited.ids["key"]
    assert summary["data"]["kind"] == "search"
    assert (summary["data"]["accesses"], summary["data"]["count"]) == (2, 2)


def test_text_is_found_in_names_ids_and_what_may_be_unsealed(node: NodeProcess) -> None:
    audited = organisation(node, "Texted")
    base = f"/v1/tenants/{audited.ids['tenant']}"
    with node.client(audited.key) as owner:

        def found(client: httpx.Client, text: str) -> set[str]:
            items = client.get("/v1/trail", params={"text": text, "to": 13}).json()["items"]
            return {each["type"] for each in items}

        assert "FlagDefined" in found(owner, "SHINY")
        assert "RoleDefined" in found(owner, "users:read")
        assert "MemberAdded" in found(owner, audited.ids["group"])
        assert found(owner, "memberadd") == {"MemberAdded"}
        assert "UserProvisioned" in found(owner, "Someone")
        assert found(owner, "no such text anywhere") == set()
        key = issue(owner, base, "audit:read")
        with node.client(key["key"]) as client:
            assert "FlagDefined" in found(client, "shiny")
            assert found(client, "Someone") == set()


def test_a_text_search_over_much_says_when_it_was_cut_and_goes_on(node: NodeProcess) -> None:
    audited = organisation(node, "Scanned")
    base = f"/v1/tenants/{audited.ids['tenant']}"
    with node.client(audited.key) as client:
        for number in range(3):
            add_user(client, base, f"scanned-{number}")
        positions: list[int] = []
        cursor: dict[str, str] = {}
        while True:
            page = client.get("/v1/trail", params={"text": "scanned-", "limit": 1, **cursor}).json()
            positions += [each["position"] for each in page["items"]]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
    assert len(positions) == 3
    assert positions == sorted(positions, reverse=True)


def test_by_address_and_by_credential(node: NodeProcess) -> None:
    audited = organisation(node, "Located")
    base = f"/v1/tenants/{audited.ids['tenant']}"
    with node.client(audited.key) as client:
        user = add_user(client, base, "located")
        by_key = client.get("/v1/trail", params={"credential": audited.ids["key"], "subject": user["id"]}).json()
        assert [each["type"] for each in by_key["items"]] == ["UserProvisioned"]
        here = client.get("/v1/trail", params={"address": "127.0.0.1", "subject": user["id"]}).json()
        assert [each["type"] for each in here["items"]] == ["UserProvisioned"]
        assert client.get("/v1/trail", params={"address": "192.0.2.1"}).json()["items"] == []
        assert client.get("/v1/trail", params={"address": "nowhere"}).status_code == 422


def test_counts_and_facets_agree_with_the_search(node: NodeProcess) -> None:
    audited = organisation(node, "Counted")
    with node.client(audited.key) as client:
        asked: dict[str, str | int] = {"actor": "opr_first", "to": 13}
        items = client.get("/v1/trail", params={**asked, "limit": 500}).json()["items"]
        for bucket in ("hour", "day", "week", "month"):
            counts = client.get("/v1/trail/counts", params={**asked, "bucket": bucket}).json()
            assert counts["total"] == len(items) == sum(each["count"] for each in counts["items"])
            assert not counts["cut"]
        everything = client.get("/v1/trail/counts", params={"to": 13, "bucket": "day"}).json()
        assert everything["total"] == 13
        facets = client.get("/v1/trail/facets", params={**asked, "by": ["type", "permission", "actor_kind"]}).json()
        assert set(facets["facets"]) == {"type", "permission", "actor_kind"}
        assert facets["facets"]["actor_kind"] == [{"value": "operator", "count": len(items)}]
        assert {each["value"]: each["count"] for each in facets["facets"]["type"]}["UserProvisioned"] == 1


def test_a_cursor_is_for_the_search_it_came_from(node: NodeProcess, audited: Organisation) -> None:
    with node.client(audited.key) as client:
        page = client.get("/v1/trail", params={"limit": 1, "text": "user"}).json()
        other = client.get("/v1/trail", params={"limit": 1, "text": "flag", "cursor": page["next"]})
    assert other.status_code == 400
