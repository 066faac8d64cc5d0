"""Sinks, their dead letters, and audit actions, as rows."""

from domain.audit_actions.registering import AuditActionRegistered, AuditActionRetired
from domain.event import Code
from domain.ids import SinkId
from domain.sinks.life import SinkAdvanced, SinkReplayRequested
from projections.product_events import AUDIT_ACTIONS
from projections.sinks import SINK_LETTERS, SINKS, key_of
from tests.domain.people import PLANET_EXPRESS, sealed
from tests.domain.test_sinks import (
    ASKED,
    CHANGED,
    DELIVERED,
    DISABLED,
    FAILED,
    PAUSED,
    REMOVED,
    RESUMED,
    SINK,
    created,
)
from tests.projections.folding import fold

OTHER = SinkId("snk_other")


def test_a_sink_is_as_it_was_set_last() -> None:
    rows = fold(created(), CHANGED, PAUSED).rows[SINKS.name]
    row = rows[SINK]
    assert (row.settings, row.secret, row.format, row.state) == (CHANGED.settings, b"two", "ocsf", "paused")
    assert fold(created(), PAUSED, RESUMED).rows[SINKS.name][SINK].state == "active"
    disabled = fold(created(), DISABLED).rows[SINKS.name][SINK]
    assert (disabled.state, disabled.disabled_because) == ("disabled", "nothing gets through")
    assert fold(created(), DISABLED, RESUMED).rows[SINKS.name][SINK].disabled_because is None
    assert not fold(created(), REMOVED).rows[SINKS.name]


def test_how_far_it_has_come_begins_again_with_a_replay() -> None:
    assert fold(created(), SinkAdvanced(SINK, 9)).rows[SINKS.name][SINK].reached == 9
    replayed = fold(created(), SinkAdvanced(SINK, 9), SinkReplayRequested(SINK, 4)).rows[SINKS.name][SINK]
    assert (replayed.from_position, replayed.reached) == (4, None)


def test_dead_letters_end_when_they_are_delivered_or_the_sink_goes() -> None:
    key = key_of(SINK, 7)
    assert fold(created(), FAILED).rows[SINK_LETTERS.name][key].state == "dead"
    assert fold(created(), FAILED, ASKED).rows[SINK_LETTERS.name][key].state == "retrying"
    assert not fold(created(), FAILED, ASKED, DELIVERED).rows[SINK_LETTERS.name]
    assert not fold(created(), FAILED, REMOVED).rows[SINK_LETTERS.name]


def test_a_version_keeps_its_beginning_as_it_grows_and_all_go_when_the_action_is_retired() -> None:
    one = AuditActionRegistered(PLANET_EXPRESS, Code("a.b"), 1, Code("{}"))
    grown = AuditActionRegistered(PLANET_EXPRESS, Code("a.b"), 1, Code('{"x":1}'), sealed(PLANET_EXPRESS, "what"))
    two = AuditActionRegistered(PLANET_EXPRESS, Code("a.b"), 2, Code("{}"))
    rows = fold(one, grown, two).rows[AUDIT_ACTIONS.name]
    assert list(rows) == ["a.b@0001", "a.b@0002"]
    assert (rows["a.b@0001"].schema, rows["a.b@0001"].registered_at_position) == ('{"x":1}', 2)
    assert rows["a.b@0001"].registered_at < rows["a.b@0001"].changed_at
    assert not fold(one, two, AuditActionRetired(PLANET_EXPRESS, Code("a.b"))).rows[AUDIT_ACTIONS.name]
