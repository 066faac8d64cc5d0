"""Whatever a file holds: it proves what its maker signed, or is refused with one kind of error, in bounded work."""

import base64
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.evidence.bundles import MOST_BUNDLE_BYTES, BundleWrong, Verified, verify_bundle
from domain.evidence.completeness import Range
from tests.domain.evidence.deployment import small
from tests.domain.evidence.signing import verifies

DEPLOYMENT, HISTORY, HEAD, INDEX = small()
TRUSTED = [DEPLOYMENT.signer.key, DEPLOYMENT.witness.key]
EVENTS, ANSWER = HISTORY.answer("user:a", Range("position", 10, 20))
BUNDLE = DEPLOYMENT.bundle(HEAD, INDEX, EVENTS, ANSWER)
PROVED = verify_bundle(BUNDLE, TRUSTED, verifies)
MANY = settings(derandomize=True, deadline=None, max_examples=400, suppress_health_check=[HealthCheck.too_slow])


def proves_the_truth_or_nothing(data: bytes) -> None:
    try:
        found = verify_bundle(data, TRUSTED, verifies)
    except BundleWrong as refused:
        problem = str(refused)
    else:
        tells_the_truth(found)
        return
    assert 0 < len(problem) < 500


def tells_the_truth(found: Verified) -> None:
    """A file may be changed to one that proves less, or answers another question rightly."""
    positions = [each.position for each in found.events]
    assert (found.head, found.checkpoint) == (HEAD, PROVED.checkpoint)
    assert [each.stored for each in found.events] == [HISTORY.stored[each - 1] for each in positions]
    assert set(found.by) <= set(PROVED.by)
    if found.answer is not None:
        tag, asked, matching, total, last, size = found.answer
        place = {each: each if asked.by == "position" else HISTORY.instant(each) for each in HISTORY.with_tag(tag)}
        assert [each for each, at in place.items() if asked.first <= at <= asked.last] == positions
        assert (matching, total, last, size) == (len(positions), len(place), max(place, default=0), 40)


@MANY
@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    proves_the_truth_or_nothing(data)


@MANY
@given(st.lists(st.tuples(st.integers(0, len(BUNDLE) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_bundle_with_bytes_changed(changes: list[tuple[int, int]]) -> None:
    data = bytearray(BUNDLE)
    for at, byte in changes:
        data[at] = byte
    proves_the_truth_or_nothing(bytes(data))


@MANY
@given(st.integers(0, len(BUNDLE)), st.integers(0, len(BUNDLE)), st.binary(max_size=20))
def test_a_bundle_with_a_part_replaced(start: int, end: int, by: bytes) -> None:
    proves_the_truth_or_nothing(BUNDLE[:start] + by + BUNDLE[end:])


def paths(value: Any, way: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The way to every part of a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way, *(path for name, each in inner for path in paths(each, (*way, name)))]


PARTS = json.loads(BUNDLE)
PATHS = paths(PARTS)[1:]
HASHES = st.sampled_from([base64.b64encode(each).decode() for each in (bytes(32), HEAD.root, HEAD.counts, b"", b"a")])
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-2, 50),
        st.sampled_from([1 << 62, (1 << 63) - 1, 1 << 63, 1 << 64, 10**400, -(1 << 63), 1.5, 1e308]),
        HASHES,
        st.text(max_size=10),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=5,
)


@MANY
@given(st.lists(st.tuples(st.sampled_from(PATHS), st.one_of(VALUES, st.sampled_from(PATHS))), min_size=1, max_size=3))
def test_a_bundle_with_members_changed(changes: list[tuple[tuple[str | int, ...], Any]]) -> None:
    """Also by a copy of another part of itself."""
    parts = json.loads(BUNDLE)
    for path, value in changes:
        try:
            found_at(parts, path[:-1])[path[-1]] = found_at(PARTS, value) if isinstance(value, tuple) else value
        except (KeyError, IndexError, TypeError):
            continue
    proves_the_truth_or_nothing(json.dumps(parts).encode())


def found_at(value: Any, path: tuple[str | int, ...]) -> Any:
    for name in path:
        value = value[name]
    return value


@MANY
@given(st.text(max_size=60))
def test_a_checkpoint_of_any_text(text: str) -> None:
    proves_the_truth_or_nothing(json.dumps({**PARTS, "checkpoint": text}).encode())
    proves_the_truth_or_nothing(json.dumps({**PARTS, "checkpoint": PARTS["checkpoint"] + text}).encode())


def with_text(path: tuple[str | int, ...], text: str) -> bytes:
    parts = json.loads(BUNDLE)
    found_at(parts, path[:-1])[path[-1]] = "HERE"
    return json.dumps(parts).replace('"HERE"', text).encode()


@pytest.mark.parametrize("path", [path for path in PATHS if len(path) <= 2])
def test_what_would_take_long_is_refused_at_once(path: tuple[str | int, ...]) -> None:
    """Numbers of a million digits, a million brackets, a million members."""
    million = 1_000_000
    for text in (
        "1" * million,
        "[" * million,
        '{"a":' * million,
        f"[{'0,' * million}0]",
        f"{'[' * 5_000}{']' * 5_000}",
        f'"{"A" * million}"',
        "1e999999999",
        f'{{"a":{"[" * 900}{"]" * 900}}}',
    ):
        proves_the_truth_or_nothing(with_text(path, text))


def test_the_largest_file_is_read() -> None:
    """White space makes it as large as it may be."""
    padded = BUNDLE + b" " * (MOST_BUNDLE_BYTES - len(BUNDLE))
    assert verify_bundle(padded, TRUSTED, verifies) == PROVED
    with pytest.raises(BundleWrong):
        verify_bundle(padded + b" ", TRUSTED, verifies)


def test_repeated_members_are_read_as_the_last_and_proved_as_such() -> None:
    twice = BUNDLE.replace(b'"events":', b'"events":[],"events":')
    assert verify_bundle(twice, TRUSTED, verifies) == PROVED
    proves_the_truth_or_nothing(BUNDLE[:-1] + b',"events":[]}')
