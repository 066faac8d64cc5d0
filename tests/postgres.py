"""One embedded PostgreSQL for a whole test run, and an empty database of it for each test that asks."""

import itertools
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from adapters.embedded_postgres import EmbeddedPostgres, ensure_database

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The conninfo of its superuser."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("server") / "postgres")
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def empty_database(postgres_server: str) -> Iterator[str]:
    """The conninfo of a database of the test's own."""
    yield from database_of(postgres_server)


@pytest.fixture(scope="module")
def shared_database(postgres_server: str) -> Iterator[str]:
    """The conninfo of a database that the tests of a file share."""
    yield from database_of(postgres_server)


def database_of(server: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    conninfo = make_conninfo(server, dbname=name)
    ensure_database(conninfo)
    yield conninfo
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
