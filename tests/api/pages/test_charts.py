"""Bars of events by time."""

import pytest

from api.pages.charts import HEIGHT, LEAST_BARS, MOST_BARS, WIDTH, bars_by_time, bucket_for

HOUR = 3_600_000_000


def test_nothing_makes_no_chart() -> None:
    assert bars_by_time([], "day", "2026-05-03T00:00:00Z") is None


def test_bars_stand_side_by_side_up_to_the_end_that_was_asked_for() -> None:
    counts = [("2026-05-03T10:00:00.000000Z", 3), ("2026-05-03T12:00:00.000000Z", 6)]
    chart = bars_by_time(counts, "hour", "2026-05-03T14:30:00Z")
    assert chart is not None
    assert len(chart.bars) == LEAST_BARS
    assert (chart.total, chart.most) == (9, 6)
    assert chart.bars[-1].start == "2026-05-03T14:00:00Z"
    assert chart.bars[-1].end == "2026-05-03T14:59:59.999999Z"
    assert [each.events for each in chart.shown] == [6, 3]
    assert [each.height for each in chart.shown] == [HEIGHT, HEIGHT / 2]
    for one, following in zip(chart.bars, chart.bars[1:], strict=False):
        assert one.x + one.width <= following.x
    assert chart.bars[-1].x + chart.bars[-1].width <= WIDTH


@pytest.mark.parametrize(
    ("bucket", "first", "second"),
    [
        ("day", "2026-05-03T00:00:00Z", "2026-05-02T00:00:00Z"),
        ("week", "2026-04-27T00:00:00Z", "2026-04-20T00:00:00Z"),
        ("month", "2026-05-01T00:00:00Z", "2026-04-01T00:00:00Z"),
    ],
)
def test_buckets_begin_where_the_calendar_says(bucket: str, first: str, second: str) -> None:
    chart = bars_by_time([(first, 1)], bucket, "2026-05-03T12:00:00Z")  # type: ignore[arg-type]
    assert chart is not None
    assert [each.start for each in chart.bars[-2:]] == [second, first]


def test_a_long_time_has_bounded_bars() -> None:
    chart = bars_by_time([("2000-01-01T00:00:00Z", 1), ("2026-01-01T00:00:00Z", 1)], "hour", "2026-01-01T01:00:00Z")
    assert chart is not None
    assert len(chart.bars) == MOST_BARS


@pytest.mark.parametrize(
    ("hours", "bucket"), [(1, "hour"), (96, "hour"), (97, "day"), (5_000, "week"), (99_999, "month")]
)
def test_how_finely_to_count(hours: int, bucket: str) -> None:
    assert bucket_for(0, hours * HOUR) == bucket
