"""Moments: `as_of` is a position or a time, to the microsecond, and nothing else."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from fastapi import FastAPI
from hypothesis import example, given
from hypothesis import strategies as st

from api.http import problems
from api.http.moments import AskedMoment, AtInstant, AtPosition, parse_moment
from api.http.problems import Problem
from tests.api.http.asking import ask

app = FastAPI()
problems.install(app)


@app.get("/")
async def asked(as_of: AskedMoment) -> list[str | int] | None:
    return None if as_of is None else [type(as_of).__name__, *as_of]


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOON = 1_769_860_800_000_000  # 2026-01-31T12:00:00Z


@given(st.integers(1, 2**63 - 1))
def test_a_positive_integer_is_a_position(position: int) -> None:
    assert parse_moment(str(position)) == AtPosition(position)


offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=offsets))
@example(datetime.min.replace(tzinfo=timezone(timedelta(hours=23))))
@example(datetime.max.replace(tzinfo=timezone(-timedelta(hours=23))))
def test_a_time_with_an_offset_is_an_instant_in_microseconds(time: datetime) -> None:
    expected = (time - EPOCH) // timedelta(microseconds=1)
    assert parse_moment(time.isoformat()) == AtInstant(expected)


# The examples of RFC 3339 §5.8, and the forms that people send.
@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1985-04-12T23:20:50.52Z", 482196050_520000),
        ("1996-12-19T16:39:57-08:00", 851042397_000000),
        ("1990-12-31T23:59:60Z", 662688000_000000),
        ("1990-12-31T15:59:60-08:00", 662688000_000000),
        ("1937-01-01T12:00:27.87+00:20", -1041337172_130000),
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31t12:00:00z", NOON),
        ("2026-01-31 12:00:00Z", NOON),
        ("2026-01-31T12:00:00-00:00", NOON),
        ("2026-01-31T14:00:00+02:00", NOON),
        ("2026-01-31T14:00:00 02:00", NOON),
        ("2026-01-31T12:00:00.000001Z", NOON + 1),
        ("2026-01-31T12:00:00.0000019Z", NOON + 1),
        ("2026-01-31T12:00:00.1Z", NOON + 100_000),
    ],
)
def test_this_time_is_this_instant(text: str, instant: int) -> None:
    assert parse_moment(text) == AtInstant(instant)


NEITHER = """0 -1 01 +1 1.0 1e3 0x1 9223372036854775808 now 2026-01-31 2026-01-31T12:00:00 2026-01-31T12:00Z
    2026-01-31T12:00:00.Z 2026-02-30T12:00:00Z 2026-13-01T12:00:00Z 2026-01-31T24:00:00Z 2026-01-31T12:60:00Z
    2026-01-31T12:00:61Z 2026-01-31T12:00:00+24:00 2026-01-31T12:00:00+01:60 2026-01-31T12:00:00+0100 20260131T120000Z
    0000-01-01T00:00:00Z 10000-01-01T00:00:00Z 2026-01-31T12:00:00UTC 2026-W05-6T12:00:00Z"""


@pytest.mark.parametrize(
    "text", ["", " ", " 1", "1\n", "9" * 5000, "\u0661", "\u0662026-01-31T12:00:00Z", *NEITHER.split()]
)
def test_what_is_neither_is_refused_with_both_forms_named(text: str) -> None:
    with pytest.raises(Problem) as refused:
        parse_moment(text)
    assert refused.value.status_code == 400
    assert "position" in refused.value.detail
    assert "2026-01-31T12:00:00Z" in refused.value.detail


@given(st.text() | st.text(alphabet="0123456789-+:.TZ "))
def test_any_text_is_a_moment_or_a_problem(text: str) -> None:
    try:
        moment = parse_moment(text)
    except Problem:
        return
    assert isinstance(moment, AtPosition | AtInstant)


async def test_a_route_is_given_the_moment_already_read() -> None:
    assert (await ask(app, "GET", b"/")).json() is None
    assert (await ask(app, "GET", b"/?as_of=42")).json() == ["AtPosition", 42]
    for spelled in (b"2026-01-31T14:00:00%2B02:00", b"2026-01-31T14:00:00+02:00", b"2026-01-31T12%3A00%3A00Z"):
        assert (await ask(app, "GET", b"/?as_of=" + spelled)).json() == ["AtInstant", NOON]
    assert (await ask(app, "GET", b"/?as_of=yesterday")).status == 400


def test_the_two_forms_are_documented() -> None:
    [parameter] = app.openapi()["paths"]["/"]["get"]["parameters"]
    assert [form.get("format", form["type"]) for form in parameter["schema"]["anyOf"]] == ["integer", "date-time"]
