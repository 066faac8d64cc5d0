"""A few connections of the role that may only read, opened when they are needed and again after PostgreSQL was away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import psycopg
from psycopg import errors
from psycopg.sql import SQL, Identifier

from adapters.postgres.generations import READER
from domain.view import ViewUnavailable

MOST: Final = 4
PATIENCE: Final = 15.0
"""Seconds that one question may take."""
OPTIONS: Final = (
    "-c plan_cache_mode=force_generic_plan -c jit=off -c statement_timeout=10s "
    "-c idle_in_transaction_session_timeout=30s "
    "-c enable_seqscan=off -c enable_bitmapscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
)
"""Every statement is an index look-up, so its plan is made once, whatever the statistics say."""

Connection = psycopg.AsyncConnection[Any]
T = TypeVar("T")


class NotMadeYet(ViewUnavailable):
    """The projector has not made the reading role and the first tables yet."""


class Connections:
    """Transactions on them are read-only and of one moment; autocommit is refused."""

    def __init__(self, conninfo: str, most: int = MOST) -> None:
        self._conninfo = conninfo
        self._places = asyncio.Semaphore(most)
        self._idle: list[Connection] = []

    async def run(self, question: Callable[[Connection], Awaitable[T]]) -> T:
        """Ask on a connection that nobody else uses. Raises ViewUnavailable, or what the question raises."""
        async with self._places:
            try:
                while self._idle:
                    try:
                        return await self._use(self._idle.pop(), question)
                    except errors.QueryCanceled:
                        raise
                    except (psycopg.OperationalError, psycopg.InterfaceError):
                        continue  # PostgreSQL may have been away since the connection was opened
                return await self._use(await self._open(), question)
            except (psycopg.OperationalError, psycopg.InterfaceError, TimeoutError) as problem:
                raise ViewUnavailable from problem

    async def aclose(self) -> None:
        while self._idle:
            await self._idle.pop().close()

    async def _open(self) -> Connection:
        connection = await psycopg.AsyncConnection.connect(
            self._conninfo, autocommit=True, options=OPTIONS, connect_timeout=5
        )
        try:
            await connection.execute(SQL("SET ROLE {}").format(Identifier(READER)))
            await connection.set_autocommit(False)
            await connection.set_read_only(True)
            await connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        except BaseException as problem:
            await connection.close()
            if isinstance(problem, (errors.InvalidParameterValue, errors.UndefinedObject)):
                raise NotMadeYet from problem
            raise
        connection.prepared_max = 500
        return connection

    async def _use(self, connection: Connection, question: Callable[[Connection], Awaitable[T]]) -> T:
        """A connection whose question failed or was abandoned is not used again."""
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await question(connection)
        except BaseException:
            await connection.close()
            raise
        self._idle.append(connection)
        return answer
