"""What a verifier reads of stored bytes without their schema is what the codec wrote, and nothing that it didn't."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.avro.codec import decode_entry, decode_prefix
from domain.event import MOST_TAGS
from domain.evidence.stamps import StampWrong, read_stamp
from domain.ids import TenantId
from tests.domain.evidence.deployment import stored_event
from tests.golden import golden_events

GOLDEN = golden_events()


def test_every_schema_ever_released_begins_so() -> None:
    for kept in GOLDEN:
        entry, stamp = decode_entry(TenantId("ten_golden"), kept.stored), read_stamp(kept.stored)
        assert (stamp.schema, stamp.position, stamp.instant) == (entry.schema, entry.position, entry.instant)
        assert stamp.event_id == entry.meta.event_id
        assert stamp.nth == dict(zip(entry.meta.tags, entry.nth, strict=True))


NUMBERS = st.integers(1, (1 << 63) - 1)
TAGS = st.dictionaries(st.text(max_size=20).map(lambda each: f"user:{each}"), NUMBERS, max_size=MOST_TAGS)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(NUMBERS, st.integers(0, (1 << 63) - 1), TAGS)
def test_what_was_written_is_read(position: int, instant: int, nth: dict[str, int]) -> None:
    try:
        stored = stored_event(position, instant, nth)
    except UnicodeEncodeError:
        return
    stamp = read_stamp(stored)
    assert (stamp.position, stamp.instant, stamp.nth) == (position, instant, nth)


STORED = stored_event(300, 1_700_000_000_000_000, {"user:a": 1, "group:b": 70})


def test_every_cut_is_noticed() -> None:
    begins = STORED.index(b"who and why")
    for length in range(begins):
        with pytest.raises(StampWrong):
            read_stamp(STORED[:length])
    read_stamp(STORED[:begins])


@settings(derandomize=True, deadline=None, max_examples=1_000)
@given(st.one_of(st.binary(max_size=60), st.binary(max_size=60).map(lambda each: STORED[:5] + each)))
def test_other_bytes_are_refused_or_read_as_the_codec_reads_them(stored: bytes) -> None:
    try:
        stamp = read_stamp(stored)
    except StampWrong:
        return
    assert stamp.position > 0
    assert len(stamp.nth) <= MOST_TAGS


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.sampled_from(GOLDEN), st.integers(5, 400), st.integers(1, 255))
def test_a_changed_byte_is_read_as_the_codec_reads_it(kept: object, at: int, by: int) -> None:
    stored = bytearray(kept.stored)  # type: ignore[attr-defined]
    at = min(at, len(stored) - 1)
    stored[at] ^= by
    try:
        stamp = read_stamp(bytes(stored))
    except StampWrong:
        return
    try:
        prefix = decode_prefix(bytes(stored))
    except (EOFError, IndexError, ValueError, OverflowError, MemoryError):
        return  # what follows the tags is broken, which a verifier doesn't read
    assert (stamp.position, stamp.instant, stamp.event_id) == (prefix.position, prefix.instant, prefix.event_id)
    assert stamp.nth == dict(zip(prefix.tags, prefix.nth, strict=True))


LONG = b"\xff" * 11 + b"\x01"


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"\x00\x00\x00\x00\x07",
        b"\x01" + STORED[1:],
        STORED[:5] + b"\x00" + STORED[7:],
        STORED[:5] + b"\x01" + STORED[7:],
        STORED[:5] + b"\xd8\x84\x00" + STORED[7:],
        STORED[:5] + LONG + STORED[7:],
        stored_event(1, 1, {"user:a": 0}),
        stored_event(1, 1, {f"user:{number}": 1 for number in range(MOST_TAGS + 1)}),
        STORED + bytes(70_000),
    ],
)
def test_what_we_would_not_write_is_refused(stored: bytes) -> None:
    with pytest.raises(StampWrong):
        read_stamp(stored)


def test_a_tag_is_carried_once() -> None:
    with pytest.raises(StampWrong):
        read_stamp(stored_event(1, 1, {"user:a": 1, "user:b": 1}).replace(b"user:b", b"user:a"))
