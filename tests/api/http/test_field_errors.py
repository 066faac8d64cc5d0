"""Field errors: whatever is sent, no word of it comes back."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AnyUrl, BaseModel, ConfigDict, EmailStr, Field, field_validator

from api.http import problems
from api.http.field_errors import Unacceptable
from tests.api.http.asking import client


class Colour(Enum):
    RED = "red"


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Everything(BaseModel):
    """One member for each way that pydantic can refuse a value."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=3, pattern="^[a-z]*$")] = ""
    number: Annotated[int, Field(le=5)] = 0
    real: float = 0
    exact: Decimal = Decimal(0)
    truth: bool = False
    day: date = date(2026, 1, 1)
    hour: time = time(0)
    moment: datetime | None = None
    span: timedelta = timedelta(0)
    choice: Literal["a"] = "a"
    colour: Colour = Colour.RED
    name: UUID | None = None
    mail: EmailStr | None = None
    address: IPv4Address | None = None
    url: AnyUrl | None = None
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    either: int | Cat | None = None
    weights: dict[str, int] = Field({}, max_length=3)
    codes: dict[int, str] = {}
    members: Annotated[list[str], Field(max_length=2)] = []
    raw: Annotated[bytes, Field(max_length=2)] = b""
    ours: str = ""
    theirs: str = ""

    @field_validator("ours")
    @classmethod
    def _ours(cls, value: str) -> str:
        if value:
            raise Unacceptable("leave it empty")
        return value

    @field_validator("theirs")
    @classmethod
    def _theirs(cls, value: str) -> str:
        if value:
            raise ValueError(f"what is {value}?")
        return value


APP = FastAPI()
problems.install(APP)


@APP.post("/everything/{number}")
async def everything(number: int, body: Everything) -> None: ...


MARK = "Xq7"
marked = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(lambda text: f"{text}{MARK}{text}")
values = st.recursive(
    marked | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(marked | st.just("kind"), inner, max_size=4),
    max_leaves=8,
)
bodies = st.dictionaries(st.sampled_from(sorted(Everything.model_fields)) | marked, values, min_size=1, max_size=6)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(bodies)
async def test_no_refusal_repeats_anything_that_was_sent(body: dict[str, Any]) -> None:
    async with client(APP) as http:
        answer = await http.post(f"/everything/{MARK}", json=body)
    assert answer.status_code == 422
    assert MARK not in answer.text


async def errors_for(body: dict[str, Any]) -> list[tuple[str, str]]:
    async with client(APP) as http:
        answer = await http.post("/everything/1", json=body)
    assert answer.status_code == 422, answer.text
    return [(error["location"], error["message"]) for error in answer.json()["errors"]]


async def test_every_member_is_refused_in_its_own_place() -> None:
    for name in Everything.model_fields:
        for wrong in (MARK * 2, [MARK] * 3, {MARK: MARK}):
            locations = {location.split("/")[1] for location, _ in await errors_for({name: wrong})}
            assert locations == {name}


async def test_a_validator_of_ours_is_heard() -> None:
    assert await errors_for({"ours": "x"}) == [("body/ours", "leave it empty")]


async def test_a_validator_that_quotes_is_not() -> None:
    assert await errors_for({"theirs": "x"}) == [("body/theirs", "this value is not acceptable here")]


async def test_an_unknown_member_is_refused_without_its_name() -> None:
    [(location, message)] = await errors_for({"secret_name": 1})
    assert (location, message) == ("body/*", "a member that is not known here; leave it out")
