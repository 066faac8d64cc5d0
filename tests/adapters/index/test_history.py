"""What is read of the index is what a plain list of all events would say."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.index.history import IndexHistory
from domain.event import Entry, Instant
from domain.ids import TenantId
from domain.ledger import Query
from tests.adapters.index.logs import HERE, THERE, Clock, Log, note, running, work

TAGS = ("a", "b", "c", "member:grp_" + "1" * 32 + "/usr_" + "2" * 32, "user:usr_" + "3" * 32)
TYPES = ("one", "two", "three")
EVENTS = 700

queries = st.builds(
    Query,
    tags=st.lists(st.sampled_from((*TAGS, "nobody has it")), max_size=3, unique=True).map(tuple),
    types=st.lists(st.sampled_from((*(f"opaque:{each}" for each in TYPES), "Unknown")), max_size=3, unique=True).map(
        tuple
    ),
    after=st.integers(0, EVENTS + 10),
    until=st.none() | st.integers(0, EVENTS + 10),
)


async def fill(log: Log, clock: Clock) -> None:
    for number in range(EVENTS):
        tags = [tag for place, tag in enumerate(TAGS) if number * 2654435761 >> (place + 7) & 1]
        event = note(b"%d" % number, *tags, type=TYPES[number * 40503 >> 3 & 1 if number % 5 else 2])
        clock.now += 1_000_000 * (number % 3)
        await log.sequencer.execute(work(event))
        if number % 50 == 0:
            await log.sequencer.execute(work(note(b"elsewhere", *TAGS), tenant=THERE))


@pytest.fixture(scope="module", params=["on a file", "in memory"])
def history(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexHistory]:
    folder = tmp_path_factory.mktemp("log") if request.param == "on a file" else None
    log, clock = None, Clock()
    with asyncio.Runner() as runner:
        log = runner.run(_filled(folder, clock))
        yield log.history
        runner.run(log.close())


async def _filled(folder: Path | None, clock: Clock) -> Log:
    log = Log(folder, clock, steady=clock)
    log.sequencer.start()
    await fill(log, clock)
    return log


def everything(history: IndexHistory) -> list[Entry]:
    return list(history.entries(HERE, Query(), 10_000))


def matches(entry: Entry, query: Query) -> bool:
    between = query.after < entry.position <= (10_000 if query.until is None else query.until)
    tagged = set(query.tags) <= set(entry.meta.tags)
    return between and tagged and (not query.types or entry.event.type_name in query.types)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=queries, limit=st.sampled_from([0, 1, 3, 50, 10_000]), newest_first=st.booleans())
def test_a_query_finds_what_a_look_at_every_event_would(
    history: IndexHistory, query: Query, limit: int, newest_first: bool
) -> None:
    expected = [entry for entry in everything(history) if matches(entry, query)]
    if newest_first:
        expected.reverse()
    assert list(history.entries(HERE, query, limit, newest_first)) == expected[:limit]
    if not newest_first:
        recorded = history.recorded(HERE, query, limit)
        assert [(each.position, each.event) for each in recorded] == [
            (entry.position, entry.event) for entry in expected[:limit]
        ]


@pytest.mark.parametrize("newest_first", [False, True])
def test_pages_join_without_gap_or_repetition(history: IndexHistory, newest_first: bool) -> None:
    query, found = Query(tags=("a",)), list[Entry]()
    while page := history.entries(HERE, query, 7, newest_first):
        found += page
        last = page[-1].position
        query = Query(tags=("a",), until=last - 1) if newest_first else Query(tags=("a",), after=last)
    expected = [entry for entry in everything(history) if "a" in entry.meta.tags]
    assert found == (expected[::-1] if newest_first else expected)


def test_the_position_at_an_instant_is_the_last_recorded_by_then(history: IndexHistory) -> None:
    entries = everything(history)
    first, last = entries[0].instant, entries[-1].instant
    for instant in range(first - 2_000_000, last + 2_000_000, 500_000):
        by_then = [entry.position for entry in entries if entry.instant <= instant]
        assert history.position_at(HERE, Instant(instant)) == (by_then[-1] if by_then else 0)


def test_heads_and_tenants(history: IndexHistory) -> None:
    assert history.head(HERE) == (EVENTS, everything(history)[-1].instant)
    assert history.head(TenantId("ten_nobody")) == (0, 0)
    assert history.entries(TenantId("ten_nobody"), Query(tags=("a",)), 10) == []
    assert sorted(history.tenants()) == [HERE, THERE]


def test_stored_bytes_come_by_position(history: IndexHistory) -> None:
    assert [position for position, _ in history.stored(HERE, 10, 5)] == [11, 12, 13, 14, 15]


def test_the_latest_of_each_type_is_the_last_with_the_tag(history: IndexHistory) -> None:
    types = [f"opaque:{each}" for each in TYPES]
    latest = {entry.event.type_name: entry.position for entry in everything(history) if "b" in entry.meta.tags}
    found = history.latest(HERE, "b", [*types, "Unknown"])
    assert [each.position for each in found] == sorted(latest.values())


async def test_reading_goes_on_beside_the_writer(tmp_path: Path) -> None:
    async with running(tmp_path) as log:
        writing = asyncio.gather(
            *(log.sequencer.execute(work(note(b"%d" % n, "a"), note(b"", "a"))) for n in range(500))
        )
        seen = 0
        while not writing.done():
            found = await asyncio.to_thread(log.history.entries, HERE, Query(tags=("a",)), 10_000)
            assert [each.position for each in found] == list(range(1, len(found) + 1))
            assert len(found) % 2 == 0
            assert len(found) >= seen
            seen = len(found)
        await writing
        assert log.history.head(HERE)[0] == 1000
