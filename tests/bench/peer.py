"""The peer: the `eventsourcing` library's recorder on PostgreSQL: the same read and conditional append, unsealed."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from eventsourcing.dcb.api import DCBAppendCondition, DCBEvent, DCBQuery, DCBQueryItem
from eventsourcing.dcb.postgres_tt import PostgresDCBRecorderTT
from eventsourcing.postgres import PostgresDatastore
from psycopg.conninfo import conninfo_to_dict

from adapters.embedded_postgres import EmbeddedPostgres
from tests.bench.office import CALLERS

CONNECTIONS: Final = 40
PEOPLE: Final = 2_000
SIZE: Final = 900
"""Bytes of an event: what ours take, without what the stamp and the tags need."""


class Peer:
    """64 threads, each reading what the boundary names and appending on the condition that it is unchanged."""

    def __init__(self, recorder: PostgresDCBRecorderTT) -> None:
        self._recorder = recorder
        self._data = os.urandom(SIZE)

    def rate(self, first: int, count: int) -> float:
        """How many a second."""
        began = time.perf_counter()
        with ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(self._change, range(first, first + count)))
        return count / (time.perf_counter() - began)

    def _change(self, number: int) -> None:
        user = f"user:usr_{number % PEOPLE:032x}"
        items = [
            DCBQueryItem(types=["UserProvisioned", "UserProfileChanged", "UserDeleted"], tags=[user]),
            DCBQueryItem(types=["TenantCreated", "TenantSuspended", "TenantDeleted"], tags=["tenant:ten_1"]),
        ]
        query = DCBQuery(items)
        seen = self._recorder.read(query)
        last = max((each.position for each in seen), default=0)
        tags = [user, "actor:opr_1", f"command:cmd_{number:032x}", f"correlation:cor_{number:032x}", "used:key_1"]
        event = DCBEvent("UserProfileChanged", self._data, tags)
        self._recorder.append([event], DCBAppendCondition(query, after=last))


@contextmanager
def peer(folder: Path) -> Iterator[Peer]:
    server = EmbeddedPostgres(folder)
    parts = conninfo_to_dict(server.start())
    datastore = PostgresDatastore(
        dbname=str(parts["dbname"]),
        host=str(parts["host"]),
        port=str(parts["port"]),
        user=str(parts["user"]),
        password="",
        pool_size=CONNECTIONS,
        max_waiting=CALLERS,
    )
    try:
        recorder = PostgresDCBRecorderTT(datastore, events_table_name="peer")
        recorder.create_table()
        yield Peer(recorder)
    finally:
        datastore.close()
        server.stop()
