"""What the writer keeps in memory answers as plain dictionaries and sets would."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.index import index, seen_values
from adapters.index.database import Database
from adapters.index.numbers import NumberTable
from adapters.index.seen_values import SeenValues
from adapters.index.tags import NUMBERS, is_numbered, tag_key
from domain.capabilities import EVENTS
from domain.event import Entry
from domain.ids import KINDS, id_from
from domain.ledger import Query
from tests.adapters.index.logs import HERE, Log, note, running, taking, work

few = st.integers(0, 50)
hashes = st.one_of(few, few.map(lambda each: each << 12), st.integers(0, 2**64 - 1))


@given(st.lists(st.tuples(hashes, st.integers(1, 2**63)), max_size=5000), st.lists(hashes))
def test_a_number_table_is_a_dictionary(pairs: list[tuple[int, int]], others: list[int]) -> None:
    table, dictionary = NumberTable(), dict(pairs)
    for hash, number in pairs:
        table.put(hash, number)
    for hash in (*dictionary, *others):
        assert table.get(hash) == dictionary.get(hash, 0)


def test_a_number_table_grows_over_many_parts() -> None:
    table = NumberTable()
    for number in range(1, 50_001):
        table.put(number * 7919 % 2**64, number)
    assert all(table.get(number * 7919 % 2**64) == number for number in range(1, 50_001))
    assert table.get(3) == 0


TAGS = st.one_of(
    st.text(max_size=60),
    st.builds(
        lambda kind, prefix, instant, entropy: f"{kind}:{id_from(prefix, instant, entropy)}",
        st.sampled_from(["user", "actor", "used", "nonsense", "group"]),
        st.sampled_from(["usr", "grp", "key", "xyz"]),
        st.integers(0, 2**55),
        st.binary(min_size=10, max_size=10),
    ),
)


@given(st.lists(TAGS, unique=True, max_size=20), st.sampled_from([b"\0\0\0\1", b"\0\0\0\2"]))
def test_different_tags_have_different_keys(tags: list[str], tenant: bytes) -> None:
    keys = {tag_key(tenant, tag) for tag in tags}
    assert len(keys) == len(tags)
    assert all(len(key) == 22 and key.startswith(tenant) for key in keys)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("user:usr_" + "a" * 32, "user:usr_" + "A" * 32),
        ("user:usr_" + "a" * 32, "user:grp_" + "a" * 32),
        ("user:usr_" + "a" * 32, "actor:usr_" + "a" * 32),
        ("user:usr_" + "a" * 31 + " ", "user:usr_" + "a" * 31 + "\t"),
        ("member:grp_" + "a" * 32 + "/usr_" + "b" * 32, "member:grp_" + "a" * 32 + "/usr_" + "c" * 32),
    ],
)
def test_tags_that_look_alike_have_different_keys(one: str, other: str) -> None:
    assert tag_key(bytes(4), one) != tag_key(bytes(4), other)


def test_keys_of_ids_are_in_the_order_of_their_time() -> None:
    keys = [tag_key(bytes(4), f"user:{id_from('usr', instant * 1000, bytes(10))}") for instant in range(1000)]
    assert keys == sorted(keys)


def test_every_kind_of_tag_has_a_number() -> None:
    kinds = set(KINDS.values())
    for event in EVENTS.values():
        kinds |= {kind for kind, *_ in (*event.edges, *event.names)}
    assert kinds | {"actor", "used", "command", "correlation", "address"} <= NUMBERS.keys()
    assert len(set(NUMBERS.values())) == len(NUMBERS)
    assert all(is_numbered(prefix) for prefix in KINDS)


async def test_what_was_evicted_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "MOST_CACHED_TAGS", 50)
    monkeypatch.setattr(index, "MOST_CACHED_EVENTS", 50)
    monkeypatch.setattr(index, "MOST_CACHED_TENANTS", 5)
    seats = [f"{number}" for number in range(300)]
    async with running(tmp_path) as log:
        await asyncio.gather(*(log.sequencer.execute(work(note(b"", "hot:1", f"seat:{seat}"))) for seat in seats))
        for seat in seats:
            outcome = await asyncio.gather(log.sequencer.execute(taking(seat, b"again")), return_exceptions=True)
            assert str(outcome[0]) == "the seat is taken"
        await asyncio.gather(*(log.sequencer.execute(work(note(b"", "hot:1", f"seat:{seat}"))) for seat in seats))
        nths = [each.nth for each in entries(log)]
        assert nths == [(number, 1) for number in range(1, 301)] + [(number, 2) for number in range(301, 601)]


def entries(log: Log) -> list[Entry]:
    return list(log.history.entries(HERE, Query(), 1000))


async def test_a_value_with_a_handle_is_never_taken_for_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen_values, "FEW", 10)
    monkeypatch.setattr(seen_values, "MOST_RECENT", 20)
    database = Database(tmp_path / "ledger.db")

    def store(shorts: list[int]) -> None:
        rows = [("ten", f"hdl{short}", b"", short) for short in shorts]
        database.writer.executemany("INSERT INTO handles (tenant, handle, lookup, short) VALUES (?, ?, ?, ?)", rows)

    store(list(range(-100, 100)))
    seen = SeenValues(database)
    for short in range(1000, 1500):
        seen.add(short)
        store([short])
        assert seen.may_have(short)
    seen.wait()
    assert all(seen.may_have(short) for short in (*range(-100, 100), *range(1000, 1500)))
    assert not any(seen.may_have(short) for short in range(5000, 5100))
    database.close()
