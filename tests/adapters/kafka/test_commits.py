"""What readers of a partition refuse: torn commits, zombies, gaps, and records that no node has written."""

import hashlib
from collections.abc import Callable, Sequence

import pytest

from adapters.kafka.client import Place, Received
from adapters.kafka.commits import CommitRead, LogUnlike, Verifier
from adapters.kafka.control import TakeOver, encode_takeover
from adapters.kafka.headers import CommitMark, control_headers_of, headers_of
from domain.event import Instant
from domain.evidence.tree import leaf_hash
from domain.ids import TenantId
from tests.golden import golden_events

PLACE = Place("muniment.ledger", 0)
TENANT = TenantId("ten_" + "1" * 32)
EVENT = golden_events()[0].stored
ID, OTHER = b"i" * 16, b"o" * 16


def takeover(offset: int, epoch: int, sequence: int = 0, chain: bytes = bytes(32)) -> Received:
    value = encode_takeover(TakeOver(epoch, 1, "http://a", sequence, chain, 1))
    headers = control_headers_of(value, 1, CommitMark(ID, 0, 1, epoch, sequence))
    return Received(PLACE, offset, None, value, headers)


def event(offset: int, place: int, count: int, epoch: int, sequence: int, id: bytes = ID) -> Received:
    mark = CommitMark(id, place, count, epoch, sequence)
    return Received(PLACE, offset, TENANT.encode(), EVENT, headers_of(EVENT, "e", Instant(1), TENANT, mark))


def verifier() -> Verifier:
    return Verifier("muniment.ledger/0", 0, 0, bytes(32))


def test_whole_commits_come_out_whole_however_they_were_fetched() -> None:
    records = [takeover(0, 1), event(2, 0, 3, 1, 1), event(3, 1, 3, 1, 2), event(4, 2, 3, 1, 3), event(6, 0, 1, 1, 4)]
    for cut in range(len(records)):
        reading = verifier()
        read = [*reading.read(records[:cut]), *reading.read(records[cut:])]
        assert [offset for offset, _ in read] == [0, 4, 6]
        (_, owner), (_, first), (_, second) = read
        assert isinstance(owner, TakeOver)
        assert isinstance(first, CommitRead)
        assert isinstance(second, CommitRead)
        assert (first.first, len(first.stored), second.first) == (1, 3, 4)
        leaf = leaf_hash(EVENT)
        assert first.chain == hashlib.sha256(bytes(32) + leaf * 3).digest()
        assert second.chain == reading.chain == hashlib.sha256(first.chain + leaf).digest()
        assert reading.is_between_commits


Doctored = Callable[[], Sequence[Received]]


@pytest.mark.parametrize(
    ("doctored", "says"),
    [
        (lambda: [event(0, 0, 1, 1, 1)], "an event of owner 1, the owner was 0"),
        (lambda: [takeover(0, 2)], "owner 2 follows owner 0"),
        (lambda: [takeover(0, 1, sequence=7)], "its owner had read 7 events, there are 0"),
        (lambda: [takeover(0, 1, chain=b"x" * 32)], "its owner had read"),
        (lambda: [takeover(0, 1), event(1, 0, 1, 1, 2)], "event 2 follows event 0"),
        (lambda: [takeover(0, 1), event(1, 0, 1, 1, 1), event(2, 0, 1, 1, 1)], "event 1 follows event 1"),
        (lambda: [takeover(0, 1), event(1, 0, 2, 1, 1), event(2, 0, 1, 1, 2, OTHER)], "torn: 1 of 2 events are there"),
        (lambda: [takeover(0, 1), event(1, 0, 2, 1, 1), takeover(2, 2)], "torn: 1 of 2 events are there"),
        (lambda: [takeover(0, 1), event(1, 1, 2, 1, 1)], "torn: its beginning"),
        (lambda: [takeover(0, 1), event(1, 0, 2, 1, 1), event(2, 1, 3, 1, 2)], "torn"),
        (lambda: [takeover(0, 1), takeover(1, 2), event(2, 0, 1, 1, 1)], "an event of owner 1, the owner was 2"),
        (lambda: [takeover(0, 1), Received(PLACE, 1, b"k", EVENT, [])], "without the mark of a commit"),
        (lambda: [Received(PLACE, 1, b"k", None, [])], "holds nothing that a node writes"),
        (lambda: [takeover(0, 1)._replace(value=takeover(0, 1).value[:-9])], "not a whole OwnerTookOver"),  # type: ignore[index]
    ],
)
def test_what_is_not_as_owners_write_it_is_refused_with_its_place(doctored: Doctored, says: str) -> None:
    records = doctored()
    with pytest.raises(LogUnlike) as problem:
        list(verifier().read(records))
    assert says in str(problem.value)
    assert f"at offset {records[-1].offset}" in str(problem.value)
