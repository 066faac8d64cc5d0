"""`muniment migrate`: the ledger of a data folder whose node is stopped, moved to Kafka."""

import asyncio
import os
import shutil
import time
from contextlib import closing
from enum import StrEnum
from typing import Annotated, Any

import psycopg
import typer

from adapters.embedded.tail import remembered_in
from adapters.embedded_postgres import EmbeddedPostgres
from adapters.index.database import Database
from adapters.index.evidence import LogBroken, LogEvidence
from adapters.kafka.ledger import KafkaOptions
from adapters.kafka.migrated import NotMigrated
from adapters.kafka.migrating import address_of, migration
from adapters.kafka.outside_registry import outside_registry, register_all
from adapters.kafka.settings import KafkaSettings
from adapters.kafka.topics import TopicSettings
from adapters.keyring import Keyring
from api.cli.door import DEFAULT, Data, Json
from api.cli.printing import Failed, answer, progress, say
from api.configuration import Configuration, KafkaConfiguration, from_environment
from api.data_folder import DataFolder
from api.http import structured_log
from api.moved_folder import mark_as_moved, moved_to


class Target(StrEnum):
    """Where a ledger can be moved to."""

    KAFKA = "kafka"


def migrate(
    to: Annotated[Target, typer.Option("--to", help="Where to: what MUNIMENT_KAFKA and its neighbours name.")],
    data: Data = None,
    json: Json = False,
) -> None:
    """Move the ledger of a data folder to Kafka, as it is: every position, byte and key. Stop its node first.

    What is in Kafka is compared with the folder by every hash. If it is interrupted, run it again: it goes on.
    """
    structured_log.configure(level="error")
    folder = DataFolder(data or DEFAULT)
    if not folder.ledger.exists():
        raise Failed(f"{folder.path} has no ledger: name the data folder of a node with --data")
    if (moved := moved_to(folder)) is not None:
        raise Failed(
            f"the ledger of {folder.path} was moved to Kafka on {moved.when}, with the prefix {moved.prefix}. To move "
            f"what the folder holds once more, remove {moved.mark}"
        )
    configuration = _configuration(folder)
    if configuration.kafka is None:
        raise Failed("say where Kafka is: set MUNIMENT_KAFKA to its brokers, host:port,host:port")
    began = time.monotonic()
    try:
        told = asyncio.run(_move(folder, configuration, configuration.kafka))
    except (NotMigrated, LogBroken) as problem:
        raise Failed(str(problem)) from problem
    answer({**told, "seconds": round(time.monotonic() - began, 1)}, json=json)
    _say_what_is_next(folder)


def _configuration(folder: DataFolder) -> Configuration:
    """As the node's, with the root key that lies in its folder if no other is named."""
    environment = dict(os.environ)
    named = environment.get("MUNIMENT_ROOT_KEY") or environment.get("MUNIMENT_ROOT_KEY_FILE")
    if not named and folder.root_key.exists():
        environment["MUNIMENT_ROOT_KEY_FILE"] = str(folder.root_key)
    return from_environment(environment, data=folder.path)


async def _move(folder: DataFolder, configuration: Configuration, kafka: KafkaConfiguration) -> dict[str, Any]:
    root_key, _ = folder.root_key_of(configuration)
    source = Database(folder.ledger)
    try:
        Keyring(source, root_key)  # that the root key opens it
        with progress("Checking the folder") as advance:
            await asyncio.to_thread(LogEvidence(source, remembered_in(folder.tail)).check, advance)
        schemas = None
        if kafka.registry is not None:
            schemas = await asyncio.to_thread(register_all, outside_registry(**kafka.registry))
        options = KafkaOptions(
            settings=KafkaSettings(**kafka.connection),
            topics=TopicSettings(kafka.prefix, kafka.partitions, kafka.replication, kafka.min_in_sync),
            folder=folder.indexes,
            address=address_of(folder.path),
            session_timeout=kafka.session,
        )
        async with migration(source, options, root_key, clock, schemas) as migrating:
            with progress("Copying events") as advance:
                copied = await migrating.copy(advance)
            with progress("Comparing with Kafka") as advance:
                compared = await migrating.compare(advance)
        await asyncio.to_thread(_forget_views, folder, configuration.postgres)
        mark_as_moved(folder, kafka.prefix)
    finally:
        source.close()
    return {
        "prefix": kafka.prefix,
        "events": compared.events,
        "tenants": compared.tenants,
        "keys": compared.keys,
        "copied_now": copied.events,
    }


def _forget_views(folder: DataFolder, postgres: str | None) -> None:
    """The stored views were made of a log with other places: the first node on Kafka makes them from zero."""
    EmbeddedPostgres(folder.postgres).stop()
    shutil.rmtree(folder.postgres, ignore_errors=True)
    if postgres is None:
        return
    try:
        with closing(psycopg.connect(postgres, autocommit=True, connect_timeout=10)) as connection:
            if connection.execute("SELECT to_regclass('muniment.live_generation')").fetchone() != (None,):
                connection.execute("DELETE FROM muniment.live_generation")
    except psycopg.Error as problem:
        raise Failed(
            f"all is copied, but the views in MUNIMENT_POSTGRES, which have to be made anew, can't be written "
            f"({type(problem).__name__}): see to that, and run the command again"
        ) from problem


def clock() -> int:
    """Microseconds since 1970 in UTC."""
    return time.time_ns() // 1000


def _say_what_is_next(folder: DataFolder) -> None:
    say(
        "Start nodes with these settings of Kafka, and give all of them the root key of this folder "
        f"(MUNIMENT_ROOT_KEY_FILE): without it nothing opens. One of them goes on with {folder.path}, which has the "
        "operator's key."
    )
    say(
        f"Once you are content, delete ledger.db, ledger.db-wal, ledger.db-shm and ledger.tail in {folder.path}: "
        "whoever is erased from now on is not erased there."
    )
