"""Moments as people type them."""

import pytest

from api.pages.asking import moment_text


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("1042", "1042"),
        ("2026-05-03", "2026-05-03T00:00:00Z"),
        ("2026-05-03 12:00", "2026-05-03T12:00:00Z"),
        (" 2026-05-03T12:00:30 ", "2026-05-03T12:00:30Z"),
        ("2026-05-03T12:00:30.5", "2026-05-03T12:00:30.5Z"),
        ("2026-05-03T12:00:30+02:00", "2026-05-03T12:00:30+02:00"),
        ("yesterday", "yesterday"),
        ("2026-02-31", "2026-02-31T00:00:00Z"),
    ],
)
def test_a_moment(typed: str, read: str) -> None:
    assert moment_text(typed) == read


def test_a_day_that_ends_a_range_is_within_it() -> None:
    assert moment_text("2026-05-03", last=True) == "2026-05-03T23:59:59.999999Z"
    assert moment_text("2026-02-31", last=True) == "2026-02-31"
