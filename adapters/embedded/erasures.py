"""Erasures that a log or a list tells of: what an older backup must be told when it is restored."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from adapters.avro.codec import decode_own
from adapters.embedded.backup import BackupBroken
from adapters.index.database import Database
from domain.directory.life import SubjectErased
from domain.ids import TenantId, UserId, is_id


class Erasure(NamedTuple):
    """Somebody whose keys were destroyed."""

    tenant: TenantId
    user: UserId


def erasures_in(log: Path) -> Iterator[Erasure]:
    """Those that a log recorded: a data folder's, also of a node that runs, or a backup's."""
    database = Database(log, read_only=True)
    try:
        with database.reading() as connection:
            rows = connection.execute(
                "SELECT tenants.tenant, events.own, events.stored FROM events "
                "JOIN types ON types.number = events.type JOIN tenants ON tenants.number = events.tenant "
                "WHERE types.name = ? ORDER BY events.sequence",
                (SubjectErased.__name__,),
            )
            for tenant, own, stored in rows:
                event = decode_own(stored, own)
                if isinstance(event, SubjectErased):
                    yield Erasure(TenantId(tenant), event.user)
    finally:
        database.close()


def erasures_listed(file: Path) -> Iterator[Erasure]:
    """Those of a file with a tenant's id and a user's id on each line. Raises BackupBroken."""
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as problem:
        raise BackupBroken(
            "--erasures-from names no data folder, no backup, and no file with a tenant and a user on each line"
        ) from problem
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        if len(words) != 2 or not is_id(words[0], "ten") or not is_id(words[1], "usr"):
            raise BackupBroken(f"line {number} of the erasures is not a tenant's id and a user's id")
        yield Erasure(TenantId(words[0]), UserId(words[1]))
