"""Charts: bars of events by time, laid out here, so that a page draws them without a script."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple

Bucket = Literal["hour", "day", "week", "month"]

WIDTH: Final = 960
HEIGHT: Final = 100
"""The drawing is stretched to the place it has, so it holds no text."""
LEAST_BARS: Final = 24
MOST_BARS: Final = 400
_HOUR: Final = 3_600_000_000
_LONGEST: Final[tuple[tuple[Bucket, int], ...]] = (("hour", 4 * 24), ("day", 180 * 24), ("week", 4 * 365 * 24))
"""Up to how many hours each is the bucket."""
_FORMATS: Final[Mapping[str, str]] = {"hour": "%m-%d %H:%M", "day": "%Y-%m-%d", "week": "%Y-%m-%d", "month": "%Y-%m"}


class Bar(NamedTuple):
    """A bucket's place in the drawing. `start` and `end` are RFC 3339."""

    start: str
    end: str
    events: int
    x: float
    y: float
    width: float
    height: float


class Chart(NamedTuple):
    """Bars by time; `most` is the highest count, `labels` say when the first, the middle and the last bar begin."""

    bars: list[Bar]
    labels: list[str]
    total: int
    most: int
    bucket: Bucket
    since: int | None = None
    """The position of the first event that was counted, if older ones were left out."""
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def shown(self) -> list[Bar]:
        """For the table: buckets in which something happened, the newest first."""
        return [each for each in reversed(self.bars) if each.events]


def bucket_for(first: int, last: int) -> Bucket:
    """How finely to count between two instants."""
    hours = (last - first) // _HOUR
    return next((bucket for bucket, longest in _LONGEST if hours <= longest), "month")


def bars_by_time(counts: Iterable[tuple[str, int]], bucket: Bucket, last: str) -> Chart | None:
    """A chart up to the bucket of `last`; None if there is nothing to show. Times are RFC 3339 in UTC."""
    found = {_read(time): count for time, count in counts}
    if not found:
        return None
    end = max(_begin(_read(last), bucket), *found)
    begins = [*_back(end, bucket, min(found))][::-1]
    most = max(found.values())
    step = WIDTH / len(begins)
    gap = min(step * 0.2, 3.0)
    bars = []
    for place, begin in enumerate(begins):
        count = found.get(begin, 0)
        tall = max(HEIGHT * count / most, 2.0) if count else 0.0
        end_of = _text(_next(begin, bucket) - timedelta(microseconds=1))
        x, y = round(place * step + gap / 2, 2), round(HEIGHT - tall, 2)
        bars.append(Bar(_text(begin), end_of, count, x, y, round(step - gap, 2), round(tall, 2)))
    labels = [begins[place].strftime(_FORMATS[bucket]) for place in (0, len(begins) // 2, -1)]
    return Chart(bars, labels, sum(found.values()), most, bucket)


def _back(end: datetime, bucket: Bucket, first: datetime) -> Iterator[datetime]:
    """Where buckets begin, from the last back to the first, at least LEAST_BARS of them."""
    begin, given = end, 0
    while (begin >= first or given < LEAST_BARS) and given < MOST_BARS:
        yield begin
        given += 1
        begin = _begin(begin - timedelta(microseconds=1), bucket)


def _begin(time: datetime, bucket: Bucket) -> datetime:
    time = time.replace(minute=0, second=0, microsecond=0)
    if bucket == "hour":
        return time
    time = time.replace(hour=0)
    if bucket == "day":
        return time
    return time - timedelta(days=time.weekday()) if bucket == "week" else time.replace(day=1)


def _next(begin: datetime, bucket: Bucket) -> datetime:
    if bucket == "month":
        return (begin + timedelta(days=32)).replace(day=1)
    return begin + {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}[bucket]


def _read(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _text(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")
