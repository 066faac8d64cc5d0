"""The deployment's log on Kafka: a topic of one partition, read by every node into a file, written by one.

Who writes is settled by the broker: one writer at a time has the transactional id, and opening it fences the one
before. A checkpoint is one transaction, and is counted as made once it was read back.
"""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog

from adapters.evidence.log import ID, Kept, LogBook, MakeNote, NotNext, new_log_id
from adapters.kafka.client import (
    Admin,
    Client,
    Fenced,
    OutcomeUnknown,
    Place,
    Reader,
    Received,
    Record,
    Unavailable,
    Writer,
)
from adapters.kafka.topics import TopicSettings, UnsafeTopic, prepare_topic
from domain.evidence.checkpoints import CheckpointWrong, parse_checkpoint
from domain.evidence.heads import Head
from domain.evidence.notes import NoteWrong, Signature, parse_note
from domain.ledger import NotReady

TOPIC: Final = "checkpoints"
TRANSACTION_TIMEOUT: Final = 10.0
COMMIT_TIMEOUT: Final = 10.0
OPEN_TIMEOUT: Final = 20.0
READ_TIMEOUT: Final = 30.0
CLOSE_TIMEOUT: Final = 15.0
HEADS_IN_RECORD: Final = 1_000
_NEXT: Final = "next"
_KEY: Final = b"log"
_POLL: Final = 0.5
_PAUSE: Final = 1.0


class LogBegun(msgspec.Struct, frozen=True, tag="begun"):
    """The log goes on under this id."""

    id: str


class HeadsAdded(msgspec.Struct, frozen=True, tag="heads"):
    """A part of the heads of a checkpoint, whose record follows in the same transaction."""

    number: int
    part: int
    heads: tuple[tuple[str, int, bytes, bytes, bytes], ...]


class CheckpointAdded(msgspec.Struct, frozen=True, tag="checkpoint"):
    """The checkpoint over so many parts just before it, and all that was before."""

    number: int
    parts: int
    instant: int
    note: str


class Cosigned(msgspec.Struct, frozen=True, tag="cosigned"):
    """Signatures of witnesses below a checkpoint's note: each a name, a key's id, and what it signed with."""

    number: int
    signatures: tuple[tuple[str, bytes, bytes], ...]


Said = LogBegun | HeadsAdded | CheckpointAdded | Cosigned
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Said).decode


class TopicUnlike(Exception):
    """The topic holds what no node writes, or less than was read before; the message says where."""


class KafkaLog:
    """See adapters.evidence.log.DeploymentLog. A thread of its own follows the topic and writes the book."""

    def __init__(self, client: Client, settings: TopicSettings, path: Path) -> None:
        self._client = client
        self._settings = settings
        self._name = f"{settings.prefix}.{TOPIC}"
        self._place = Place(self._name, 0)
        self._book = LogBook(path, disposable=True)
        self._writer: Writer | None = None
        self._writing = threading.Lock()
        """Held by whoever writes."""
        self._went_on = threading.Condition()
        """Notified when more was read, or something went wrong."""
        self._parts: list[HeadsAdded] = []
        self._next = int(self._book.noted(_NEXT) or 0)
        self._passed = 0
        """Everything committed before this offset is in the book."""
        self._stopping = False
        self.trouble: str | None = None
        """Why the topic is not read any further, if so."""
        self._broken = False
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
        self._thread.start()

    @property
    def book(self) -> LogBook:
        return self._book

    def prepare(self) -> None:
        with self._writing:
            self._prepare()

    def _prepare(self) -> Writer:
        if self._writer is not None:
            return self._writer
        writer = self._client.writer(self._name, TRANSACTION_TIMEOUT)
        admin: Admin | None = None
        try:
            writer.open(OPEN_TIMEOUT)
            admin = self._client.admin()
            prepare_topic(admin, self._name, 1, self._settings)
            end = admin.ends([self._place], committed=False)[self._place]
            self._until(lambda: self._passed >= end)
            if self._book.id is None:
                self._commit(writer, [LogBegun(new_log_id())])
        except (Unavailable, Fenced, UnsafeTopic) as problem:
            writer.close()
            raise NotReady(f"the deployment's log can't be written: {problem}") from problem
        except BaseException:
            writer.close()
            raise
        finally:
            if admin is not None:
                admin.close()
        self._writer = writer
        return writer

    def append(self, heads: Sequence[Head], make_note: MakeNote, instant: int) -> Kept:
        with self._writing:
            writer = self._prepare()
            number, frontier = self._book.planned(heads)
            note = make_note(frontier.size, frontier.root())
            pages = [heads[at : at + HEADS_IN_RECORD] for at in range(0, len(heads), HEADS_IN_RECORD)]
            said: list[Said] = [
                HeadsAdded(
                    number, part, tuple((each.tenant, each.size, each.root, each.counts, each.blind) for each in page)
                )
                for part, page in enumerate(pages)
            ]
            self._commit(writer, [*said, CheckpointAdded(number, len(pages), instant, str(note))])
        kept = self._book.checkpoint(number)
        if kept is None:
            raise NotReady("the checkpoint was not read back: ask again in a moment")
        return kept

    def cosign(self, number: int, signatures: Sequence[Signature]) -> None:
        with self._writing:
            told = tuple((each.name, each.id, each.signature) for each in signatures)
            self._commit(self._prepare(), [Cosigned(number, told)])

    def begin_anew(self) -> None:
        with self._writing:
            self._commit(self._prepare(), [LogBegun(new_log_id())])

    def _commit(self, writer: Writer, said: Sequence[Said]) -> None:
        """One transaction, which this node has read back when it returns. Raises NotReady."""
        records = [Record(self._place, _KEY, _encode(each), []) for each in said]
        try:
            offsets = writer.commit(records, COMMIT_TIMEOUT)
        except (Fenced, OutcomeUnknown, Unavailable) as problem:
            self._drop(writer)
            raise NotReady("another node makes checkpoints, or the brokers don't answer: ask again soon") from problem
        except BaseException:
            self._drop(writer)
            raise
        self._until(lambda: self._next > offsets[-1])

    def _drop(self, writer: Writer) -> None:
        writer.close()
        if self._writer is writer:
            self._writer = None

    def _until(self, holds: Callable[[], bool]) -> None:
        """Raises NotReady if it does not come in time."""
        with self._went_on:
            if (
                not self._went_on.wait_for(lambda: holds() or self._broken or self._stopping, READ_TIMEOUT)
                or not holds()
            ):
                raise NotReady(self.trouble or "the deployment's log was not read to its end in time")

    def _run(self) -> None:
        reader: Reader | None = None
        while not self._stopping and not self._broken:
            try:
                if reader is None:
                    self._look()
                    reader = self._client.reader()
                    reader.assign({self._place: self._next})
                self._take(reader.poll(_POLL))
                with self._went_on:
                    self._passed = max(self._passed, reader.position(self._place))
                    self.trouble = None
                    self._went_on.notify_all()
            except Exception as problem:
                self._fail(problem)
                if reader is not None:
                    reader.close()
                reader = None
                self._rest()
        if reader is not None:
            reader.close()

    def _fail(self, problem: Exception) -> None:
        self._broken = isinstance(problem, TopicUnlike)
        told = str(problem) if isinstance(problem, TopicUnlike | Unavailable | UnsafeTopic) else type(problem).__name__
        if self.trouble != told:
            structlog.get_logger().error("following the deployment's log failed", problem=told)
        with self._went_on:
            self.trouble = told
            self._parts = []
            self._next = int(self._book.noted(_NEXT) or 0)
            self._went_on.notify_all()

    def _rest(self) -> None:
        with self._went_on:
            self._went_on.wait_for(lambda: self._stopping, _PAUSE)

    def _look(self) -> None:
        """That the topic is there, and holds what was read of it. Raises TopicUnlike."""
        admin = self._client.admin()
        try:
            prepare_topic(admin, self._name, 1, self._settings)
            if admin.ends([self._place], committed=False)[self._place] < self._next:
                raise TopicUnlike(f"{self._name} ends before what this node has read of it: was it made anew?")
        finally:
            admin.close()

    def _take(self, records: Sequence[Received]) -> None:
        for record in records:
            try:
                said = _decode(record.value or b"")
            except msgspec.MsgspecError:
                raise TopicUnlike(f"{self._name} at {record.offset} holds what no node writes") from None
            if isinstance(said, HeadsAdded):
                self._parts.append(said)
                continue
            with self._book.changing():
                self._apply(record, said)
                self._book.note(_NEXT, str(record.offset + 1))
            with self._went_on:
                self._next = record.offset + 1
                self._went_on.notify_all()

    def _apply(self, record: Received, said: LogBegun | CheckpointAdded | Cosigned) -> None:
        if isinstance(said, CheckpointAdded):
            parts, self._parts = self._parts, []
            try:
                self._checkpoint(said, parts)
            except (NotNext, NoteWrong, CheckpointWrong, ValueError) as problem:
                raise TopicUnlike(f"{self._name} at {record.offset}: {problem}") from problem
        elif self._parts:
            raise TopicUnlike(f"{self._name} at {record.offset}: the checkpoint before it is torn")
        elif isinstance(said, LogBegun):
            self._book.note(ID, said.id)
        else:
            self._book.add_signatures(said.number, [Signature(*each) for each in said.signatures])

    def _checkpoint(self, said: CheckpointAdded, parts: Sequence[HeadsAdded]) -> None:
        if [(each.number, each.part) for each in parts] != [(said.number, part) for part in range(said.parts)]:
            raise ValueError("the checkpoint is torn, or another node's heads lie between")
        heads = [Head(*each) for part in parts for each in part.heads]
        number, frontier = self._book.planned(heads)
        told = parse_checkpoint(parse_note(said.note.encode()).text)
        if number != said.number or (told.size, told.root) != (frontier.size, frontier.root()):
            raise ValueError(f"checkpoint {said.number} does not follow from what is before it")
        self._book.write(number, heads, frontier, said.instant, said.note)

    def close(self) -> None:
        with self._went_on:
            self._stopping = True
            self._went_on.notify_all()
        self._thread.join(CLOSE_TIMEOUT)
        with self._writing:
            if self._writer is not None:
                self._drop(self._writer)
        if not self._thread.is_alive():  # else it waits for brokers, and ends with the process
            self._book.close()
