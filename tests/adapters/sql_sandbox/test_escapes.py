"""The sandbox is a wall: whatever a query tries, it sees the views it was given, in its time and memory."""

import asyncio
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pytest

from adapters.sql_sandbox.sandbox import ENVIRONMENT, Answered, Limits, QueryFailed, ask

EVENTS = pa.table(
    {
        "position": pa.array(range(1, 1001), pa.int64()),
        "type": ["UserProvisioned"] * 1000,
        "data": [f"sealed:{number:024x}" for number in range(1000)],
    }
)
USERS = pa.table({"key": ["usr_1", "usr_2"], "user_name": ["sealed:" + "0" * 24, "sealed:" + "1" * 24]})
PATIENT = Limits(seconds=90)
FILTERED = platform.machine() in ("x86_64", "aarch64") and os.uname().sysname == "Linux"


def file_of(table: pa.Table) -> BinaryIO:
    file = tempfile.TemporaryFile()  # noqa: SIM115  (the sandbox closes it)
    with pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    file.flush()
    return file


def answer(sql: str, limits: Limits = PATIENT, marker: str | None = None) -> Answered:
    views = {"events": file_of(EVENTS), "users": file_of(USERS)}
    return asyncio.run(ask(views, sql, limits, marker=marker))


def failure(sql: str, limits: Limits = PATIENT, marker: str | None = None) -> QueryFailed:
    with pytest.raises(QueryFailed) as caught:
        answer(sql, limits, marker)
    return caught.value


def test_an_ordinary_question_is_answered() -> None:
    found = answer(
        "WITH few AS (SELECT * FROM events WHERE position <= 10) "
        "SELECT e.type, count(*) AS n, max(e.position), list(u.key ORDER BY u.key) AS keys "
        "FROM few e CROSS JOIN users u GROUP BY ALL ORDER BY n DESC -- and a comment"
    )
    (row,) = found.table.to_pylist()
    assert (row["n"], row["type"], set(row["keys"])) == (20, "UserProvisioned", {"usr_1", "usr_2"})
    assert not found.cut


FILES = (
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_csv_auto('/etc/passwd')",
    "SELECT * FROM read_parquet('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('/etc/passwd')",
    "SELECT * FROM read_json('/etc/passwd')",
    "SELECT * FROM parquet_metadata('/etc/passwd')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM '/etc/passwd'",
    'SELECT * FROM "/etc/passwd"',
    "SELECT * FROM 'https://example.org/x.parquet'",
    "SELECT * FROM read_csv('https://example.org/x.csv')",
    "SELECT * FROM 's3://bucket/x.parquet'",
    "COPY events TO '/nowhere/out.csv'",
    "COPY (SELECT 1) TO '/nowhere/out.parquet'",
    "EXPORT DATABASE '/nowhere/out'",
    "IMPORT DATABASE '/nowhere/out'",
    "ATTACH '/nowhere/other.db' AS other",
    "ATTACH ':memory:' AS other",
    "DETACH memory",
    "USE memory.main",
    "INSTALL httpfs",
    "LOAD httpfs",
    "FORCE INSTALL sqlite_scanner FROM community",
)
SETTINGS = (
    "SET memory_limit = '100GB'",
    "SET enable_external_access = true",
    "RESET memory_limit",
    "PRAGMA version",
    "PRAGMA database_list",
    "PRAGMA enable_profiling",
    "CALL duckdb_settings()",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_extensions()",
    "SELECT * FROM duckdb_variables()",
    "SELECT * FROM duckdb_memory()",
    "SELECT * FROM duckdb_tables()",
    "SELECT * FROM duckdb_views",
    "SELECT * FROM pg_catalog.pg_settings",
    "SELECT * FROM pg_settings",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM pragma_database_size()",
    "SELECT * FROM which_secret('s3://x', 's3')",
    "SELECT current_setting('memory_limit')",
    "SELECT getvariable('x')",
    "SELECT getenv('PATH')",
    "SELECT version()",
    "SELECT current_query()",
    "SELECT pg_sleep(60)",
    "SELECT sleep_ms(60000)",
    "SELECT write_log('x')",
    "SELECT nextval('s')",
    "SET VARIABLE x = 1",
    "CREATE SECRET s (TYPE s3, KEY_ID 'a', SECRET 'b')",
)
CHANGES = (
    "CREATE TABLE kept AS SELECT * FROM events",
    "CREATE MACRO f(x) AS x",
    "CREATE VIEW v AS SELECT 1",
    "INSERT INTO events VALUES (1, 'a', 'b')",
    "UPDATE events SET type = 'x'",
    "DELETE FROM events",
    "DROP VIEW events",
    "ALTER VIEW events RENAME TO other",
    "TRUNCATE events",
    "WITH x AS (INSERT INTO events VALUES (1, 'a', 'b') RETURNING *) SELECT * FROM x",
    "BEGIN",
    "CHECKPOINT",
    "VACUUM",
    "EXPLAIN ANALYZE SELECT 1",
    "EXPLAIN SELECT * FROM events",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DESCRIBE events",
    "SHOW ALL TABLES",
    "SUMMARIZE events",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY events TO '/nowhere/out.csv'",
    "SELECT 1; -- nothing more\n; DROP VIEW events",
    "/* SELECT 1 */ PRAGMA version",
    "",
    "-- nothing",
    ";",
)
AROUND = (
    "SELECT * FROM query('SELECT * FROM duckdb_settings()')",
    "SELECT * FROM query_table('duckdb_settings')",
    "SELECT * FROM query_table(['events'])",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "SELECT json_serialize_plan('SELECT 1')",
    "SELECT json_deserialize_sql('{}')",
    "SELECT * FROM python_map_function(1)",
    "SELECT * FROM pandas_scan(1)",
    "SELECT * FROM arrow_scan(1, 2, 3)",
    "SELECT * FROM python_arrow_scan(1, 2, 3)",
    "SELECT * FROM seq_scan('events')",
    "SELECT * FROM asked",
    "SELECT * FROM connection",
    "SELECT * FROM table_in",
    "SELECT * FROM sys",
    "SELECT * FROM ten_0195c2d4a1b00123456789abcdef0123.events",
    "SELECT * FROM temp.main.events",
    "SELECT * FROM main.events",
    "SELECT * FROM system.main.duckdb_settings()",
    "SELECT system.main.getenv('PATH')",
    "SELECT main.unseal(data) FROM events",
    "SELECT list_transform([1], lambda x: getenv('PATH'))",
    "SELECT * FROM events AT (VERSION => 1)",
    "WITH pg_settings AS (SELECT 1) SELECT * FROM pg_settings",
    "SELECT * FROM (WITH pg_class AS (SELECT 1) SELECT * FROM pg_class) a, pg_class b",
    "SELECT $1",
    "SELECT ?",
    "SELECT read_text('/etc/passwd')",
    "SELECT * FROM events WHERE position = (SELECT count(*) FROM read_text('/etc/passwd'))",
    "SELECT * FROM range(1) r, LATERAL (SELECT * FROM glob('/*'))",
    "FROM (PIVOT events ON type USING count(*))",
)


@pytest.mark.parametrize("sql", [*FILES, *SETTINGS, *CHANGES, *AROUND])
def test_what_is_no_question_about_the_views_is_refused(sql: str) -> None:
    found = failure(sql)
    assert found.kind in ("refused", "sql"), (found.kind, str(found))
    assert "/etc" not in str(found)
    assert "root:" not in str(found)


SOON = Limits(memory=128 << 20, seconds=5)


@pytest.mark.parametrize(
    "sql",
    [
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
        "SELECT max(a.range) FROM range(1000000000000) a",
        "SELECT count(*) FROM events a, events b, events c, events d WHERE a.position + b.position > c.position",
        "SELECT count(*) FROM range(10000000) a, range(10000000) b",
        "SELECT a.position FROM events a, events b, events c ORDER BY a.position * b.position * c.position",
        "SELECT list(a.position) FROM events a, events b, events c",
        "SELECT string_agg(repeat(a.type, 1000)) FROM events a, events b, events c",
        "SELECT repeat('x', 1000000000)",
        "SELECT repeat('x', 100000000) FROM events",
        "SELECT length(repeat(repeat('x', 100000), 100000))",
        "SELECT range(100000000000)",
        "SELECT list_sort(range(200000000))[1]",
        "SELECT printf('%2000000000d', 1)",
        "SELECT lpad('x', 2000000000, 'y')",
    ],
)
def test_what_would_never_end_or_fit_is_ended(sql: str) -> None:
    assert failure(sql, SOON).kind in ("time", "memory", "data", "refused"), sql


def test_an_enormous_answer_is_cut_at_its_rows_and_at_its_size() -> None:
    found = answer("SELECT * FROM range(1000000000000)", Limits(seconds=90, rows=5_000))
    assert found.cut
    assert found.table.num_rows == 5_000
    wide = answer("SELECT repeat('x', 1000) AS text FROM range(100000000)", Limits(seconds=90, bytes=8 << 20))
    assert wide.cut
    assert 0 < wide.table.nbytes <= 8 << 20
    assert failure("SELECT repeat('x', 20000000)", Limits(seconds=90, bytes=8 << 20)).kind == "refused"


def test_depth_is_bounded() -> None:
    for sql in ("SELECT " + "(" * 5_000 + "1" + ")" * 5_000, "SELECT " + "+".join(["1"] * 5_000)):
        assert failure(sql).kind in ("sql", "memory", "refused")


def test_errors_of_the_data_say_nothing_of_it() -> None:
    assert str(failure("SELECT data::INTEGER FROM events")) == ""
    found = failure("SELECT nothing FROM events WHERE type = 'a secret'")
    assert found.kind == "sql"
    assert "a secret" not in str(found)
    assert "position" not in str(failure("SELECT positio n FROM 'a secret"))


def test_unsealing_is_for_output_columns_and_for_whom_may() -> None:
    marked = answer("SELECT unseal(user_name) AS name, unseal(key) FROM users ORDER BY key", marker="abc")
    assert marked.table.column("name").to_pylist() == ["abcsealed:" + "0" * 24, "abcsealed:" + "1" * 24]
    assert "people:unseal" in str(failure("SELECT unseal(user_name) FROM users"))
    for sql in (
        "SELECT 1 FROM users WHERE unseal(user_name) = 'a'",
        "SELECT upper(unseal(user_name)) FROM users",
        "SELECT * FROM (SELECT unseal(user_name) AS n FROM users) WHERE n LIKE 'a%'",
        "WITH x AS (SELECT unseal(user_name) AS n FROM users) SELECT * FROM x",
        "SELECT count(*) FROM users GROUP BY unseal(user_name)",
        "SELECT key FROM users ORDER BY unseal(user_name)",
        "SELECT CASE WHEN true THEN unseal(user_name) END FROM users",
        "SELECT (SELECT unseal(user_name) FROM users LIMIT 1)",
    ):
        assert "output column" in str(failure(sql, marker="abc")), sql


def test_the_process_has_no_secrets_and_no_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even code of an attacker's own, in the sandbox's place, finds nothing and reaches nothing."""
    monkeypatch.setenv("MUNIMENT_ROOT_KEY", "00" * 32)
    script = tmp_path / "attack.py"
    script.write_text(
        "import os, socket, sys, json\n"
        "from adapters.sql_sandbox import kernel\n"
        "kernel.limit(1 << 20, 5, 64)\n"
        "closed = kernel.close_in()\n"
        "found = {'closed': closed, 'environment': sorted(os.environ)}\n"
        "def attempt(name, what):\n"
        "    try:\n"
        "        what()\n"
        "        found[name] = 'done'\n"
        "    except OSError as problem:\n"
        "        found[name] = problem.strerror\n"
        "attempt('open', lambda: os.open('/etc/passwd', os.O_RDONLY))\n"
        "attempt('socket', lambda: socket.socket())\n"
        "attempt('fork', lambda: os.fork() or os._exit(0))\n"
        "attempt('exec', lambda: os.execv('/bin/true', ['true']))\n"
        "attempt('kill', lambda: os.kill(os.getppid(), 0))\n"
        "attempt('unlink', lambda: os.unlink('/tmp/nothing'))\n"
        "print(json.dumps(found))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, env=ENVIRONMENT, check=True)
    found = json.loads(done.stdout)
    assert not [name for name in found["environment"] if "MUNIMENT" in name]
    if not FILTERED:
        assert not found["closed"]
        return
    refused = {name: found[name] for name in ("open", "socket", "fork", "exec", "kill", "unlink")}
    assert set(refused.values()) == {"Operation not permitted"}, refused


def test_a_query_is_answered_behind_the_kernels_filter_where_there_is_one() -> None:
    assert answer("SELECT 1").closed == FILTERED
    with socket.socket():  # and the filter is the child's alone
        pass


async def test_who_leaves_takes_the_query_along() -> None:
    views = {"events": file_of(EVENTS), "users": file_of(USERS)}
    asking = asyncio.create_task(ask(views, "SELECT max(range) FROM range(1000000000000)", PATIENT))
    await asyncio.wait([asking], timeout=0.5)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert views["events"].closed
