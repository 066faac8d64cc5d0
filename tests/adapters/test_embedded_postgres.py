"""The node's own PostgreSQL: started anywhere, adopted, killed, started again, and never telling what it was told."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from adapters.embedded_postgres import EmbeddedPostgres, PostgresUnavailable, ensure_database

START_AND_HANG = """
import sys, time
from pathlib import Path
from adapters.embedded_postgres import EmbeddedPostgres
EmbeddedPostgres(Path(sys.argv[1])).start()
print("started", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("node") / "postgres"


@pytest.fixture
def postgres(shared_folder: Path) -> Iterator[EmbeddedPostgres]:
    """A server on a folder whose cluster the tests of this file share."""
    yield from stopped_afterwards(EmbeddedPostgres(shared_folder))


def stopped_afterwards(postgres: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    try:
        yield postgres
    finally:
        postgres.stop()


def ask(conninfo: str, question: str) -> object:
    with psycopg.connect(conninfo) as connection:
        row = connection.execute(question.encode()).fetchone()
        assert row is not None
        return row[0]


def tell(conninfo: str, statement: str) -> None:
    with psycopg.connect(conninfo) as connection:
        connection.execute(statement.encode())


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def modes(folder: Path) -> dict[Path, tuple[int, int, int]]:
    return {above: (s.st_mode, s.st_uid, s.st_gid) for above in folder.parents for s in [above.stat()]}


def test_a_server_runs_under_closed_parents_that_stay_closed(tmp_path: Path) -> None:
    folder = tmp_path / "closed" / "data" / "postgres"
    folder.parent.mkdir(parents=True)
    folder.parent.chmod(0o700)
    folder.parent.parent.chmod(0o700)
    before = modes(folder)
    postgres = EmbeddedPostgres(folder)
    for _ in stopped_afterwards(postgres):
        assert ask(postgres.start(), "SELECT current_database()") == "muniment"
        assert modes(folder) == before
        assert {folder.stat().st_mode & 0o777, (folder / "cluster").stat().st_mode & 0o777} == {0o700}
    assert modes(folder) == before


def test_a_server_is_never_root_and_owns_its_cluster_alone(postgres: EmbeddedPostgres, shared_folder: Path) -> None:
    postgres.start()
    runs_as = psutil.Process(postgres.pid).uids().effective
    assert runs_as != 0
    owned = [shared_folder / "cluster", *(shared_folder / "cluster").rglob("*")]
    assert {path.lstat().st_uid for path in owned} == {runs_as}
    assert {path.lstat().st_uid for path in (shared_folder, shared_folder / "postgres.log")} == {os.geteuid()}


def test_a_server_sees_nothing_of_our_environment(postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUNIMENT_ROOT_KEY", "only for the node")
    postgres.start()
    assert "MUNIMENT_ROOT_KEY" not in psutil.Process(postgres.pid).environ()


def test_a_server_is_as_durable_and_as_quiet_as_promised(postgres: EmbeddedPostgres) -> None:
    conninfo = postgres.start()
    promised = {
        "listen_addresses": "",
        "fsync": "on",
        "full_page_writes": "on",
        "server_encoding": "UTF8",
        "jit": "off",
    }
    assert {name: ask(conninfo, f"SHOW {name}") for name in promised} == promised
    assert str(ask(conninfo, "SHOW server_version")).startswith("18.")
    assert ask(conninfo, "SELECT datcollate FROM pg_database WHERE datname = 'muniment'") == "C"


def test_a_running_server_is_adopted(postgres: EmbeddedPostgres, shared_folder: Path) -> None:
    conninfo, pid = postgres.start(), postgres.pid
    assert EmbeddedPostgres(shared_folder).start() == conninfo
    assert postgres.pid == pid


def test_the_server_of_a_killed_node_is_adopted_and_can_be_stopped(
    postgres: EmbeddedPostgres, shared_folder: Path
) -> None:
    command = [sys.executable, "-c", START_AND_HANG, str(shared_folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as node:
        assert node.stdout is not None
        assert node.stdout.readline() == "started\n"
        orphan = psutil.Process(postgres.pid)
        node.kill()
    assert postgres.alive()
    assert ask(postgres.start(), "SELECT 1") == 1
    assert postgres.pid == orphan.pid
    postgres.stop()
    assert not postgres.alive()
    assert has_ended(orphan)


def test_a_killed_server_comes_back_with_what_was_committed(postgres: EmbeddedPostgres) -> None:
    conninfo = postgres.start()
    tell(conninfo, "CREATE TABLE kept AS SELECT 42 AS answer")
    killed = postgres.pid
    with psycopg.connect(conninfo) as connection:
        connection.execute("SELECT 1")
        kill(killed)
        psutil.Process(killed).wait(10)
        assert not postgres.alive()
        conninfo = postgres.restart()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert postgres.pid != killed
    assert ask(conninfo, "SELECT answer FROM kept") == 42
    tell(conninfo, "DROP TABLE kept")


def test_a_server_killed_amid_a_long_query_comes_back(postgres: EmbeddedPostgres) -> None:
    conninfo = postgres.start()
    with psycopg.connect(conninfo) as busy, ThreadPoolExecutor() as pool:
        backend = psutil.Process(busy.info.backend_pid)
        counting = pool.submit(busy.execute, "SELECT count(*) FROM generate_series(1, 1e12::bigint)")
        active = (
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT count(*) FROM gen%' AND state = 'active'"
        )
        while not ask(conninfo, active):
            pass
        kill(postgres.pid)
        assert ask(postgres.restart(), "SELECT 1") == 1
        assert isinstance(counting.exception(timeout=30), psycopg.OperationalError)
    assert has_ended(backend)


def test_a_pid_that_became_a_strangers_is_left_alone(postgres: EmbeddedPostgres, shared_folder: Path) -> None:
    postgres.start()
    postgres.stop()
    for stale in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (shared_folder / "cluster" / stale).write_text(f"{os.getpid()}\n/gone\n1\n5432\n.\n\n1 1\nready\n")
    assert not postgres.alive()
    postgres.stop()
    assert ask(postgres.start(), "SELECT 1") == 1
    assert postgres.pid != os.getpid()


def test_a_server_that_lost_its_socket_is_replaced(postgres: EmbeddedPostgres, shared_folder: Path) -> None:
    postgres.start()
    deaf = postgres.pid
    (shared_folder / "cluster" / ".s.PGSQL.5432").unlink()
    assert ask(postgres.start(), "SELECT 1") == 1
    assert postgres.pid != deaf


def test_stopping_twice_is_stopping_once(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    postgres.stop()
    postgres.stop()
    assert not postgres.alive()
    assert postgres.pid is None


def test_a_folder_with_a_long_path_works_and_leaves_nothing_outside(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30) / "postgres"
    postgres = EmbeddedPostgres(folder)
    ways: list[Path] = []
    for _ in stopped_afterwards(postgres):
        conninfo = postgres.start()
        way = Path(str(conninfo_to_dict(conninfo)["host"]))
        ways.append(way)
        assert ask(conninfo, "SELECT 1") == 1
        assert way.parent.stat().st_mode & 0o777 == 0o700
        assert EmbeddedPostgres(folder).start() == conninfo
        pid = postgres.pid
        shutil.rmtree(way.parent)  # as cleaners of temporary folders do
        assert ask(postgres.start(), "SELECT 1") == 1
        assert postgres.pid == pid
        ways.append((folder / "socket").readlink())
    assert not any(way.parent.exists() for way in ways)


def test_the_log_never_tells_what_the_server_was_told(postgres: EmbeddedPostgres, shared_folder: Path) -> None:
    with psycopg.connect(postgres.start(), autocommit=True) as connection:
        connection.execute("CREATE TEMPORARY TABLE people (name text PRIMARY KEY)")
        connection.execute("INSERT INTO people VALUES (%s)", ["Turanga Leela"])
        for statement, parameters in (
            ("INSERT INTO people VALUES (%s)", ["Turanga Leela"]),  # told in the detail of a broken constraint
            ("SELECT %s::text::int", ["Turanga Leela"]),  # told in the message of a failed conversion
            ("SELEKT %s", ["Turanga Leela"]),
            ("SELECT 'Turanga Leela' FROM nowhere", None),
            ("DO $$ BEGIN RAISE EXCEPTION 'Turanga Leela'; END $$", None),
            ("SELECT pg_terminate_backend(pg_backend_pid()), %s::text", ["Turanga Leela"]),
        ):
            with pytest.raises(psycopg.Error):
                connection.execute(statement.encode(), parameters)
    postgres.stop()
    said = (shared_folder / "postgres.log").read_text()
    assert "terminating connection due to administrator command" in said
    assert "Leela" not in said
    assert "SELECT" not in said
    assert (shared_folder / "postgres.log").stat().st_mode & 0o777 == 0o600


def test_a_deleted_cluster_is_made_anew_beneath_its_running_server(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path / "postgres")
    for _ in stopped_afterwards(postgres):
        tell(postgres.start(), "CREATE TABLE lost ()")
        shutil.rmtree(tmp_path / "postgres")
        assert ask(postgres.restart(), "SELECT to_regclass('lost')") is None


def test_a_broken_cluster_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    postgres = EmbeddedPostgres(tmp_path / "postgres")
    for _ in stopped_afterwards(postgres):
        postgres.start()
        postgres.stop()
        (tmp_path / "postgres" / "cluster" / "global" / "pg_control").write_bytes(b"torn")
        with pytest.raises(PostgresUnavailable, match=r"pg_control.*MUNIMENT_POSTGRES.*move .*cluster away"):
            postgres.start()
        shutil.move(tmp_path / "postgres" / "cluster", tmp_path / "away")
        assert ask(postgres.start(), "SELECT 1") == 1


def test_a_folder_that_is_none_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "postgres").write_text("a file")
    with pytest.raises(PostgresUnavailable, match=r"File exists.*MUNIMENT_POSTGRES"):
        EmbeddedPostgres(tmp_path / "postgres").start()


def test_a_cluster_that_was_put_back_from_a_copy_is_served_again(
    postgres: EmbeddedPostgres, shared_folder: Path, tmp_path: Path
) -> None:
    postgres.start()
    postgres.stop()
    shutil.copytree(shared_folder / "cluster", tmp_path / "postgres" / "cluster")
    restored = EmbeddedPostgres(tmp_path / "postgres")
    for _ in stopped_afterwards(restored):
        assert ask(restored.start(), "SELECT 1") == 1


def test_a_database_is_made_once_however_many_ask(postgres: EmbeddedPostgres) -> None:
    conninfo = make_conninfo(postgres.start(), dbname='an "odd" name')
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ensure_database, [conninfo] * 4))
    assert ask(conninfo, "SELECT current_database()") == 'an "odd" name'
