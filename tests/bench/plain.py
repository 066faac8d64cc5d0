"""What the ledger is measured against: a loop that only encodes, seals and group-commits the same events."""

import sqlite3
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from adapters.avro.codec import Body, encode_own, encode_shared, encode_tags, frame
from adapters.fresh_ids import new_event_id, new_id
from adapters.local_ledger import meta_of
from domain.directory.life import UserProvisioned
from domain.directory.users import UserProfileChanged
from domain.event import Event
from domain.ids import Handle, UserId
from domain.ledger import NewKeys
from tests.bench.office import CALLERS, Office, clock


class PlainLoop:
    """SQLite with `synchronous=FULL`, one table, as many events in a commit as there are callers elsewhere."""

    def __init__(self, folder: Path, office: Office) -> None:
        self._office = office
        self._connection = sqlite3.connect(folder / "plain.db", isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute("CREATE TABLE events (position INTEGER PRIMARY KEY, stored BLOB NOT NULL)")
        self._position = 0

    def rate(self, events: Iterator[Event], count: int) -> float:
        """How many a second."""
        began, left = time.perf_counter(), count
        while left > 0:
            rows = [self._row(event) for event in islice(events, min(left, CALLERS))]
            left -= len(rows)
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT INTO events VALUES (?, ?)", rows)
            self._connection.execute("COMMIT")
        return count / (time.perf_counter() - began)

    def _row(self, event: Event) -> tuple[int, bytes]:
        self._position += 1
        meta = meta_of(self._office.caller(), type(event).__name__)
        tags = [*meta.tags, *event.subject_tags()]
        body = Body(encode_shared(meta), encode_own(event), encode_tags(tags))
        now, nth = clock(), [self._position] * len(tags)
        stored = frame(type(event), self._position, now, nth, new_event_id(now), body)[0]
        return self._position, stored

    def changes(self) -> Iterator[Event]:
        """Sealed as they are asked for."""
        number, people = 0, self._office.people
        while True:
            user = people[number % len(people)]
            profile = self._office.profile(NewKeys(), user, number)
            yield UserProfileChanged(user, *(getattr(profile, each) for each in profile.__struct_fields__))
            number += 1

    def provisions(self) -> Iterator[Event]:
        number, office = 0, self._office
        while True:
            keys, user, name = NewKeys(), UserId(new_id("usr")), f"fry{number}@planetexpress.example"
            office.keyring.new_subject(keys, office.tenant, user)
            sealed = office.keyring.seal(keys, office.tenant, user, "user_name", name)
            profile = office.profile(keys, user, number)
            fields = [getattr(profile, each) for each in profile.__struct_fields__[:4]]
            yield UserProvisioned(user, sealed, Handle(new_id("hdl")), *fields)
            number += 1

    def close(self) -> None:
        self._connection.close()
