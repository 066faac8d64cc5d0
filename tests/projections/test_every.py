"""What every view keeps to: it copies sealed values unopened, names its columns, and forgets who has ended."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from domain.access.owners import RoleAssigned
from domain.agents import ApiKeyIssued
from domain.capabilities import ENDS_WITH, EVENTS, EVENTS_OF
from domain.directory.groups import MemberAdded
from domain.event import Code, Sealed
from domain.flags import FlagTargeted
from domain.view import Close, Rows, View
from projections.every import EVERY_VIEW
from tests.domain.examples import EXAMPLES
from tests.domain.people import CREW, DARK, FRY, KEY, PILOT, deleted, flag, provisioned
from tests.projections.folding import fold, history

every_view = pytest.mark.parametrize("view", EVERY_VIEW, ids=lambda view: view.name)
UNFOLLOWED = {
    "SubjectErased",
    *(event.__name__ for event in EVENTS_OF["audit"] if not event.__name__.startswith("Export")),
    *(event.__name__ for event in EVENTS_OF["evidence"]),
}
"""What changes no row: the keys' end, what is about an attempt or an action, what is asked of the history itself."""


def sealed_in(struct: Any) -> Iterator[Sealed]:
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        if isinstance(value, Sealed):
            yield value


def test_sealed_values_are_the_events_own_and_unopened() -> None:
    """The very objects: nothing was opened, sealed again, or read."""
    events = {id(value) for event in EXAMPLES.values() for value in sealed_in(event)}
    found = 0
    for event in EXAMPLES.values():
        for rows in fold(*(each for each in EXAMPLES.values() if each != event)).rows.values():
            for row in rows.values():
                for value in sealed_in(row):
                    found += 1
                    assert id(value) in events
    assert found > len(EXAMPLES)


def test_every_event_matters_to_some_view_or_is_known_not_to() -> None:
    followed = {event.__name__ for view in EVERY_VIEW for event in view.follows}
    assert followed == EVENTS.keys() - UNFOLLOWED


def test_views_have_names_of_their_own() -> None:
    names = [view.name for view in EVERY_VIEW]
    assert len(names) == len(set(names))


@every_view
def test_an_index_is_a_column(view: View[Any]) -> None:
    assert set(view.indexes) <= set(view.row.__struct_fields__)


@every_view
def test_a_view_closes_only_by_its_indexes(view: View[Any]) -> None:
    for event in view.follows:
        for concern in view.concerns(EXAMPLES[event.__name__]):
            if isinstance(concern, Close):
                assert concern.column in view.indexes
            else:
                assert isinstance(concern, str)


@every_view
def test_every_event_that_a_view_follows_concerns_some_row(view: View[Any]) -> None:
    for event in view.follows:
        assert view.concerns(EXAMPLES[event.__name__])


@every_view
def test_an_event_about_what_is_not_there_is_no_failure(view: View[Any]) -> None:
    for event in view.follows:
        rows = Rows([view])
        rows.evolve(history(EXAMPLES[event.__name__])[0])


@every_view
def test_the_same_event_again_makes_the_same_row(view: View[Any]) -> None:
    for event in view.follows:
        once = history(EXAMPLES[event.__name__])[0]
        one, two = Rows([view]), Rows([view])
        one.evolve(once)
        two.evolve(once)
        two.evolve(once)
        assert one.rows == two.rows


def test_nothing_that_a_person_held_outlives_them_but_keys_which_are_judged_by_their_holder() -> None:
    begun = RoleAssigned(PILOT, FRY), MemberAdded(CREW, FRY), FlagTargeted(DARK, FRY, Code("on"))
    key = ApiKeyIssued(KEY, FRY, b"hash", ())
    assert {type(event) for event in (*begun, key)} == set(ENDS_WITH)
    rows = fold(flag(DARK), provisioned(FRY), *begun, key)
    assert len(rows_naming(rows)) == len(begun) + 2
    rows = fold(flag(DARK), provisioned(FRY), *begun, key, deleted(FRY))
    assert rows_naming(rows) == ["api_keys"]


def rows_naming(rows: Rows) -> list[str]:
    """The views with a row that names Fry."""
    return sorted(
        name for name, by_key in rows.rows.items() for row in by_key.values() if FRY in msgspec.structs.astuple(row)
    )
