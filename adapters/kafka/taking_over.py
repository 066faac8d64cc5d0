"""How a node takes a partition over: it fences the owner, reads to the end, says so in the log, and reads that too."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import Final, TypeVar

import structlog

from adapters.fresh_ids import random_12
from adapters.index.log import end_of_log
from adapters.kafka.client import Admin, Client, Fenced, Record, Unavailable, Writer
from adapters.kafka.control import TakeOver, encode_takeover
from adapters.kafka.follower import Follower
from adapters.kafka.headers import CommitMark, control_headers_of, schema_header
from adapters.kafka.log import KafkaLog, SchemaIds
from adapters.kafka.partition import Owner, Partition
from adapters.kafka.settling import index_end, settle, still_hangs
from adapters.kafka.topics import Topics

T = TypeVar("T")

TRANSACTION_TIMEOUT: Final = 10.0
"""Seconds after which the broker ends what a dead owner left open; readers wait for it no longer than that."""
OPEN_TIMEOUT: Final = 20.0
READ_TIMEOUT: Final = 60.0


class TakeOvers:
    """Of one partition, by this node. Lives on the event loop."""

    def __init__(
        self,
        partition: Partition,
        client: Client,
        admin: Admin,
        topics: Topics,
        follower: Follower,
        address: str,
        clock: Callable[[], int],
        threads: Executor,
        *,
        schemas: SchemaIds | None = None,
        fencing: bool = True,
    ) -> None:
        self.partition = partition
        self._client = client
        self._admin = admin
        self._topics = topics
        self._follower = follower
        self._address = address
        self._clock = clock
        self._threads = threads
        self._schemas = schemas
        self._fencing = fencing
        self._regrouped_after = 0

    async def take(self, generation: int, is_ours: Callable[[], bool]) -> KafkaLog:
        """The log of the new owner, by an assignment of the group's. Raises Fenced, Unavailable, OutcomeUnknown."""
        partition, number = self.partition, self.partition.number
        place = self._topics.of_ledger(number)
        name = self._topics.transactional_id(number)
        if not self._fencing:
            name += f".{random_12().hex()}"
        await self._read_all(committed=True)
        self._must_be_newer(generation)  # before anybody is fenced
        writer = self._client.writer(name, TRANSACTION_TIMEOUT)
        try:
            await self._on_thread(partial(writer.open, OPEN_TIMEOUT))
            if self._fencing:
                await self._settle(writer, name)
            await self._read_all(committed=False)
            self._must_be_newer(generation)
            if not is_ours():
                raise Unavailable("the partition went to another node meanwhile")
            offset, owner = await self._say_so(writer, generation)
            await partition.until_passed(offset + 1, READ_TIMEOUT)
            if partition.owner != owner:
                raise Fenced
            await self._follower.release(number)
        except BaseException:
            await asyncio.shield(self._on_thread(writer.close))
            raise

        def end() -> int:
            return self._admin.ends([place], committed=False)[place]

        return KafkaLog(writer, partition.database, self._topics, number, owner.epoch, offset, end, self._schemas)

    async def _settle(self, writer: Writer, name: str) -> None:
        """End a transaction that hangs although, once its writer is open, none of this transactional id can be open."""
        partition, number = self.partition, self.partition.number
        ledger, keyring = self._topics.of_ledger(number), self._topics.of_keyring(number)
        if not await self._on_thread(partial(still_hangs, self._admin, [ledger, keyring])):
            return
        await self._on_thread(writer.close)
        index = await self._follower.exclusively(partial(index_end, partition))
        ended = await self._on_thread(partial(settle, self._client, self._admin, ledger, keyring, name, index))
        if ended is not None:
            structlog.get_logger().warning("a hanging transaction was ended", partition=number, **ended._asdict())
        await self._on_thread(partial(writer.open, OPEN_TIMEOUT))

    async def _read_all(self, *, committed: bool) -> None:
        """Until the follower has read what there is, the keyring's changes too. Raises Unavailable.

        `committed`: only up to a transaction that is still open, which only the broker or `open` ends.
        """
        partition, number = self.partition, self.partition.number
        if partition.trouble:
            raise Unavailable(partition.trouble)
        ledger, keyring = self._topics.of_ledger(number), self._topics.of_keyring(number)
        ends = await self._on_thread(lambda: self._admin.ends([ledger, keyring], committed=committed))

        def read() -> bool:
            return partition.passed >= ends[ledger] and partition.keyring_passed >= ends[keyring]

        await partition.until(read, READ_TIMEOUT, "the partition was not read to its end in time")

    async def _on_thread(self, do: Callable[[], T]) -> T:
        """On one of the threads for what may take long, so that nothing else waits for it."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, do)

    def _must_be_newer(self, generation: int) -> None:
        """Raises Fenced if an owner came by a newer assignment than ours.

        Generations begin anew once a group was forgotten. So after leaving the group because of an owner, an assignment
        is newer than that owner whatever its number: it was made after the owner's record was read.
        """
        owner = self.partition.owner
        if owner.generation > generation and owner.address != self._address and owner.epoch != self._regrouped_after:
            self._regrouped_after = owner.epoch
            raise Fenced

    async def _say_so(self, writer: Writer, generation: int) -> tuple[int, Owner]:
        """Commit the takeover record; its offset, and what it says."""
        partition = self.partition
        end = end_of_log(partition.database.writer)
        owner = Owner(partition.owner.epoch + 1, generation, self._address)
        now = self._clock()
        value = encode_takeover(TakeOver(*owner, end.sequence, end.chain, now))
        mark = CommitMark(random_12() + bytes(4), 0, 1, owner.epoch, end.sequence)
        headers = control_headers_of(value, now, mark)
        if self._schemas is not None:
            headers.append(schema_header(value))
            value = self._schemas.swap_out(value)
        record = Record(self._topics.of_ledger(partition.number), None, value, headers)
        (offset,) = await self._on_thread(partial(writer.commit, [record], OPEN_TIMEOUT))
        return offset, owner
