"""Erasing again, after a restore: the ledger alone, opened before anything else can read from it."""

import os
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from adapters.embedded.log import embedded_sequencer
from adapters.embedded.tail import TailFile
from adapters.index.database import Database
from adapters.index.history import IndexHistory
from adapters.keyring import Keyring
from adapters.local_ledger import LocalLedger
from api.cli.printing import Advance, Failed
from api.configuration import from_environment
from domain.command import Refused
from domain.directory.life import SubjectErased, UserProvisioned
from domain.directory.users import EraseUser
from domain.ids import TenantId, id_from
from domain.ledger import Actor, Authority, Caller

if TYPE_CHECKING:
    from adapters.embedded.erasures import Erasure
    from api.data_folder import DataFolder


async def erase_again(folder: "DataFolder", erased: "list[Erasure]", advance: Advance) -> int:
    """How many were not erased in the restored log, and are now. Raises WrongRootKey, and Failed if one can't be."""
    root_key, _ = folder.root_key_of(from_environment(data=folder.path))
    async with AsyncExitStack() as leaving:
        database = Database(folder.ledger)
        leaving.callback(database.close)
        keyring = Keyring(database, root_key)
        tail = TailFile(folder.tail)
        leaving.callback(tail.close)
        sequencer = embedded_sequencer(database, keyring, tail, clock, accept_gap=True)
        sequencer.start()
        leaving.push_async_callback(sequencer.stop)
        history = IndexHistory(database)
        ledger = LocalLedger(sequencer, clock)
        again = [each for each in erased if _is_there(history, each)]
        for done, erasure in enumerate(again):
            advance(done, len(again))
            try:
                await ledger.execute(EraseUser(erasure.user), _restoring(erasure.tenant))
            except Refused as refused:
                raise Failed(f"{erasure.user} of {erasure.tenant} can't be erased again: {refused.reason}") from refused
        await sequencer.exclusively(lambda _: database.truncate_wal())
    return len(again)


def _is_there(history: IndexHistory, erasure: "Erasure") -> bool:
    """Whether the restored log knows the person, and not that they were erased."""
    types = (UserProvisioned.__name__, SubjectErased.__name__)
    known = history.latest(erasure.tenant, f"user:{erasure.user}", types)
    return bool(known) and not any(isinstance(each.event, SubjectErased) for each in known)


def _restoring(tenant: TenantId) -> Caller:
    authority = Authority("users:erase", id_from("dec", clock(), os.urandom(10)), ("system",))
    return Caller(tenant, Actor("system", "restore"), authority, id_from("cor", clock(), os.urandom(10)))


def clock() -> int:
    """Microseconds since 1970 in UTC."""
    return time.time_ns() // 1000
