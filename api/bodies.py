"""Parts that bodies of several capabilities share: texts, names, times, pages, and what a change answers."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, TypeVar

from fastapi import Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from api.acting import Reading
from api.http import problems
from api.http.field_errors import Unacceptable
from api.http.json_body import JsonRouter
from api.http.paging import Page
from domain.event import Instant
from domain.ids import TenantId
from domain.ledger import Outcome
from domain.view import Versioned

B = TypeVar("B", bound=BaseModel)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST: Final = 253_402_300_799_999_999
"""The last microsecond of the year 9999."""
MOST_IN_PAGE: Final = 500

ShortText = Annotated[str, StringConstraints(min_length=1, max_length=256)]
LongText = Annotated[str, StringConstraints(max_length=4000)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.:-]{0,99}$")]
"""A name of a restricted alphabet: a role's, a setting's, a flag's key."""
PermissionName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,49}:[a-z][a-z0-9_]{0,49}$")]


class Body(BaseModel):
    """What is sent: unknown members are refused, so that a misspelt one is not lost."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Answer(BaseModel):
    """What is answered."""

    model_config = ConfigDict(frozen=True)


class Changed(Answer):
    """What a command came to."""

    position: int = Field(description="The tenant's position that shows the change.")
    changed: bool = Field(description="False if everything was so already.")
    repeated: bool = Field(False, description="True if this answers a retry with what happened the first time.")


def changed(outcome: Outcome) -> Changed:
    return Changed(position=outcome.position, changed=bool(outcome.events), repeated=outcome.repeated)


def time_text(instant: int) -> str:
    """RFC 3339 in UTC, to the microsecond; what lies outside the years that it can say is told as its nearest end."""
    instant = min(max(instant, 0), _LATEST)
    return (_EPOCH + timedelta(microseconds=instant)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def time_text_if(instant: int | None) -> str | None:
    return None if instant is None else time_text(instant)


def instant_of(time: datetime) -> Instant:
    return Instant((time - _EPOCH) // timedelta(microseconds=1))


def _only_text(value: object) -> object:
    if not isinstance(value, str):
        raise Unacceptable("send a time as RFC 3339 text with an offset")
    return value


def _within_years(time: datetime) -> datetime:
    if not 0 <= (time - _EPOCH) // timedelta(microseconds=1) <= _LATEST:
        raise Unacceptable("send a time between 1970 and the end of 9999 in UTC")
    return time


Time = Annotated[
    AwareDatetime, BeforeValidator(_only_text, json_schema_input_type=AwareDatetime), AfterValidator(_within_years)
]

RESPONSES: Final = problems.responses(
    problems.UNAUTHENTICATED,
    problems.FORBIDDEN,
    problems.NOT_FOUND,
    problems.CONFLICT,
    problems.PRECONDITION_FAILED,
    problems.UNPROCESSABLE,
    problems.TOO_MANY_REQUESTS,
    problems.UNAVAILABLE,
)
"""What any route of the REST face may refuse with."""


def router(capability: str) -> JsonRouter:
    """A router of the REST face."""
    return JsonRouter(prefix="/v1", tags=[capability], responses=RESPONSES)


Limit = Annotated[int, Query(ge=1, le=MOST_IN_PAGE, description="How many at most.")]
Cursor = Annotated[
    str | None, Query(max_length=1024, description="The `next` of the page before, exactly as it was returned.")
]


def place_of(reading: Reading, cursor: str | None, of: str) -> str:
    """The key after which a page begins."""
    if cursor is None:
        return ""
    place = reading.node.cursors.decode(cursor, dict[str, str], of=_listing(reading.tenant, of))
    return place["after"]


def next_cursor(reading: Reading, key: str, of: str) -> str:
    """Where the page after this key begins."""
    return reading.node.cursors.encode({"after": key}, of=_listing(reading.tenant, of))


def page_of(
    reading: Reading,
    found: Sequence[Versioned[Any]],
    limit: int,
    of: str,
    body: Callable[[Versioned[Any]], B],
) -> Page[B]:
    """A page of rows that were asked for with one more than `limit`."""
    more = next_cursor(reading, found[limit - 1].key, of) if len(found) > limit else None
    return Page(
        items=[body(each) for each in found[:limit]],
        next=more,
        position=reading.at.position,
        as_of=time_text(reading.at.instant) if reading.as_of else None,
    )


def _listing(tenant: TenantId, of: str) -> str:
    return f"{of} of {tenant}"
