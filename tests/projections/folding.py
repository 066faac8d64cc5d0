"""Folds a made-up history into rows of every view; the event at position n was recorded at instant 10 n."""

from typing import Any

from domain.event import Event, Instant, Recorded
from domain.view import Rows, View
from projections.every import EVERY_VIEW
from tests.domain.people import PLANET_EXPRESS


def history(*events: Event) -> list[Recorded]:
    return [Recorded(PLANET_EXPRESS, n, Instant(10 * n), event) for n, event in enumerate(events, 1)]


def fold(*events: Event) -> Rows:
    rows = Rows(EVERY_VIEW)
    for recorded in history(*events):
        rows.evolve(recorded)
    return rows


def rows_of(view: View[Any], *events: Event) -> dict[str, Any]:
    """The rows of one view after these events, by key."""
    return fold(*events).rows[view.name]
