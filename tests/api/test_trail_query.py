"""SQL for auditors over HTTP: one tenant's views, handles instead of personal values, and each query in the trail."""

import io
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.api.organisation import Organisation, organisation
from tests.api.test_audit import issue
from tests.node import NodeProcess


@pytest.fixture(scope="module")
def asked(node: NodeProcess) -> Organisation:
    return organisation(node, "Asked")


def query(client: httpx.Client, sql: str, *, ok: bool = True, params: dict[str, Any] | None = None, **body: Any) -> Any:
    answer = client.post("/v1/trail/query", json={"sql": sql, **body}, params=params or {})
    assert answer.is_success == ok, answer.text
    return answer.json()


def test_events_are_asked_by_their_columns(node: NodeProcess, asked: Organisation) -> None:
    with node.client(asked.key) as client:
        found = query(
            client,
            "SELECT type, count(*) AS n FROM events WHERE list_contains(tags, 'user:' || "
            "(SELECT key FROM users LIMIT 1)) GROUP BY type ORDER BY type",
        )
    assert [each["name"] for each in found["columns"]] == ["type", "n"]
    assert found["rows"] == [["MemberAdded", 1], ["RoleAssigned", 1], ["UserProvisioned", 1]]


def test_views_join_as_of_the_moment_that_is_asked_about(node: NodeProcess, asked: Organisation) -> None:
    sql = (
        'SELECT u.key AS "user", r.name AS role FROM members m JOIN users u ON u.key = m.member '
        "JOIN assignments a ON a.subject = u.key JOIN roles r ON r.key = a.role"
    )
    with node.client(asked.key) as client:
        assert query(client, sql)["rows"] == [[asked.ids["user"], "reader"]]
        assert query(client, sql, params={"as_of": 2})["rows"] == []
        assert query(client, "SELECT max(position) FROM events", params={"as_of": 3})["rows"] == [[3]]
        bounds: dict[str, Any] = {"from": "2", "to": "4"}
        between = query(client, "SELECT min(position), max(position) FROM events", **bounds)
        assert between["rows"] == [[2, 4]]


def test_personal_values_are_handles_until_they_are_unsealed(node: NodeProcess, asked: Organisation) -> None:
    with node.client(asked.key) as client:
        found = query(client, "SELECT user_name, unseal(user_name) AS name, unseal(display_name) FROM users")
        ((handle, name, display_name),) = found["rows"]
        assert handle.startswith("sealed:")
        assert (name, display_name) == ("someone", "Someone")
        assert found["unsealed"] == 2
        sql = (
            "SELECT unseal(e.data->>'user_name'), unseal(e.request) FROM events e WHERE e.type = 'UserProvisioned' "
            "AND e.data->>'user' = (SELECT key FROM users LIMIT 1)"
        )
        ((name, request),) = query(client, sql)["rows"]
        assert name == "someone"
        assert "127.0.0.1" in request
        whole = query(client, "SELECT * FROM events")
        assert "Someone" not in str(whole)
        events = client.get("/v1/trail", params={"type": "TrailAccessed", "limit": 500}).json()["items"]
    told = [each["data"] for each in events if each["data"]["kind"] == "sql"]
    assert [each["unsealed"] for each in told][::-1][-3:] == [2, 2, 0]
    assert "Someone" not in str(told)
    assert "user_name" not in str(told)


def test_who_may_not_unseal_sees_handles_only(node: NodeProcess, asked: Organisation) -> None:
    base = f"/v1/tenants/{asked.ids['tenant']}"
    with node.client(asked.key) as owner:
        key = issue(owner, base, "audit:read")
    with node.client(key["key"]) as client:
        assert query(client, "SELECT user_name FROM users")["rows"][0][0].startswith("sealed:")
        refused = query(client, "SELECT unseal(user_name) FROM users", ok=False)
        assert "people:unseal" in refused["detail"]
        (line,) = client.get("/v1/trail", params={"type": "UserProvisioned"}).json()["items"]
        assert line["data"]["user_name"] is None
        assert {"user_name", "display_name", "request"} <= set(line["sealed"])
        assert client.get("/v1/trail", params={"text": "someone"}).json()["items"] == []


def test_equal_values_of_one_person_have_equal_handles(node: NodeProcess, asked: Organisation) -> None:
    with node.client(asked.key) as client:
        found = query(
            client,
            "SELECT count(*) FROM users u JOIN events e ON e.data->>'user_name' = u.user_name "
            "WHERE e.type = 'UserProvisioned'",
        )
    assert found["rows"] == [[1]]


def test_secrets_are_no_columns(node: NodeProcess, asked: Organisation) -> None:
    with node.client(asked.key) as client:
        views = client.get(f"/v1/tenants/{asked.ids['tenant']}/trail/query/views").json()["views"]
        assert {"events", "users", "groups", "members", "roles", "assignments", "keys", "flags"} <= set(views)
        names = {column["name"] for columns in views.values() for column in columns}
        assert not [name for name in names if "secret" in name or "hash" in name]
        described = query(client, "SELECT view_name, column_name FROM view_columns", limit=1000)["rows"]
        assert ["users", "user_name"] in described
        issued = query(client, "SELECT data FROM events WHERE type = 'ApiKeyIssued'")
    assert "hash" not in str(issued)


def test_every_format_holds_the_same_rows(node: NodeProcess, asked: Organisation) -> None:
    body = {"sql": "SELECT position, type FROM events WHERE position <= 3 ORDER BY position"}
    with node.client(asked.key) as client:

        def answer(**options: Any) -> httpx.Response:
            found = client.post("/v1/trail/query", json=body, **options)
            assert found.status_code == 200, found.text
            assert found.headers["muniment-position"].startswith(asked.ids["tenant"])
            return found

        rows = answer().json()["rows"]
        csv = answer(params={"format": "csv"})
        assert csv.headers["content-type"].startswith("text/csv")
        assert csv.text.splitlines() == ["position,type", *(f"{position},{type}" for position, type in rows)]
        lines = answer(headers={"Accept": "application/x-ndjson"})
        assert lines.text.count("\n") == 3
        parquet = answer(headers={"Accept": "application/vnd.apache.parquet"})
        assert pq.read_table(io.BytesIO(parquet.content)).column("type").to_pylist() == [row[1] for row in rows]
        arrow = answer(params={"format": "arrow"})
        assert pa.ipc.open_stream(arrow.content).read_all().num_rows == 3


def test_another_tenant_is_not_there(node: NodeProcess, asked: Organisation) -> None:
    other = organisation(node, "Asked Elsewhere")
    with node.client(asked.key) as client:
        found = query(client, "SELECT DISTINCT data->>'tenant' FROM events WHERE data->>'tenant' IS NOT NULL")
        assert found["rows"] == [[asked.ids["tenant"]]]
        assert other.ids["user"] not in str(query(client, "SELECT * FROM users"))
        refused = client.post(f"/v1/tenants/{other.ids['tenant']}/trail/query", json={"sql": "SELECT 1"})
        assert refused.status_code == 404
        refused = client.post("/v1/trail/query", params={"tenant": other.ids["tenant"]}, json={"sql": "SELECT 1"})
        assert refused.status_code == 404


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT nothing FROM events", "sql_error"),
        ("SELEC 1", "sql_error"),
        ("SELECT * FROM read_csv('/etc/passwd')", "function"),
        ("DROP VIEW events", "one SELECT"),
        ("SELECT 1; SELECT 2", "one SELECT"),
        ("SELECT type::INTEGER FROM events", "fails on the data"),
        ("SELECT repeat('x', 2000000000)", "memory"),
    ],
)
def test_what_is_refused_says_what_to_do(node: NodeProcess, asked: Organisation, sql: str, says: str) -> None:
    with node.client(asked.key) as client:
        answer = client.post("/v1/trail/query", json={"sql": sql})
    assert answer.status_code == 422
    assert says in answer.text
    assert "/etc" not in answer.text


def test_without_the_permission_nothing_is_answered(node: NodeProcess, asked: Organisation) -> None:
    with node.client(asked.key) as owner:
        key = issue(owner, f"/v1/tenants/{asked.ids['tenant']}", "users:read")
    with node.client(key["key"]) as client:
        assert client.post("/v1/trail/query", json={"sql": "SELECT 1"}).status_code == 403
