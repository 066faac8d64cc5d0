"""Moments as callers write them: `?as_of=` a position, or a time."""

import re
from datetime import datetime, timedelta
from typing import Annotated, Final, NamedTuple

from fastapi import Depends, Query

from api.http.problems import Problem, bad_request

BIGGEST_POSITION: Final = 2**63 - 1

_POSITION: Final = re.compile(r"[1-9][0-9]{0,18}")
# RFC 3339 §5.6. A plus sign that was not percent-encoded arrives as a space.
_TIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}:)([0-9]{2})(?:\.([0-9]{1,18}))?"
    r"(?:[Zz]|([+ -])([01][0-9]|2[0-3]):([0-5][0-9]))"
)
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  (offsets are added as numbers)
_MICROSECOND: Final = timedelta(microseconds=1)


class AtPosition(NamedTuple):
    position: int


class AtInstant(NamedTuple):
    """Microseconds since 1970 in UTC; it may lie in the future or before all history."""

    instant: int


AsOf = AtPosition | AtInstant


def parse_moment(text: str) -> AsOf:
    """A positive integer, or an RFC 3339 time with an offset; finer than a microsecond is cut off."""
    if _POSITION.fullmatch(text) and (position := int(text)) <= BIGGEST_POSITION:
        return AtPosition(position)
    if match := _TIME.fullmatch(text):
        return AtInstant(_instant(match))
    raise _neither()


def _instant(match: re.Match[str]) -> int:
    date, minutes, seconds, fraction, sign, offset_hours, offset_minutes = match.groups()
    leap = seconds == "60"  # allowed by RFC 3339 §5.7; it is the second before the next minute's first
    try:
        local = datetime.fromisoformat(f"{date}T{minutes}{'59' if leap else seconds}")
    except ValueError:
        raise _neither() from None
    offset = (int(offset_hours or 0) * 60 + int(offset_minutes or 0)) * 60_000_000
    instant = (local - _EPOCH) // _MICROSECOND + int((fraction or "").ljust(6, "0")[:6])
    return instant + (1_000_000 if leap else 0) + (offset if sign == "-" else -offset)


async def _as_of(
    as_of: Annotated[
        str | None,
        Query(
            description="Answer as of this position, or this time (RFC 3339, with an offset). Absent: now.",
            json_schema_extra={
                "anyOf": [
                    {"type": "integer", "minimum": 1, "maximum": BIGGEST_POSITION},
                    {"type": "string", "format": "date-time"},
                ],
            },
        ),
    ] = None,
) -> AsOf | None:
    return None if as_of is None else parse_moment(as_of)


AskedMoment = Annotated[AsOf | None, Depends(_as_of)]


def _neither() -> Problem:
    return bad_request("send as_of as a position (1, 2, 3 …) or as a time with an offset (2026-01-31T12:00:00Z)")
