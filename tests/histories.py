"""Histories of any events that views follow, about so few things that they meet: for Hypothesis."""

import types
import typing
from typing import Any, Final

from hypothesis import strategies as st

from domain import ids
from domain.event import Code, Event, Instant, Recorded, Sealed
from domain.ids import TenantId
from domain.view import View

_KINDS: Final[dict[Any, str]] = {
    ids.TenantId: "ten",
    ids.UserId: "usr",
    ids.GroupId: "grp",
    ids.DirectoryId: "dir",
    ids.RoleId: "rol",
    ids.AssignmentId: "asg",
    ids.CredentialId: "key",
    ids.FlagId: "flg",
    ids.OperatorId: "opr",
    ids.WebhookId: "whk",
    ids.SinkId: "snk",
    ids.ExportId: "exp",
    ids.HoldId: "hld",
    ids.Handle: "hdl",
}
_CODES: Final = (
    "a",
    "b",
    'a "quoted", \\escaped {set}',
    "Größe ✓",
    "NULL",
    " ",
)  # never empty: rows are paged from after ""
_SEALED: Final = tuple(Sealed(f"dek_{each}", bytes(12), bytes(each), b"eq%d" % each) for each in (1, 2, 3_000))


def events_that(views: typing.Iterable[View[Any]]) -> st.SearchStrategy[Event]:
    """Any event that one of the views follows."""
    followed = {event for view in views for event in view.follows}
    return st.one_of(*(_event(each) for each in sorted(followed, key=lambda each: each.__name__)))


def placed(tenant: TenantId, events: typing.Iterable[Event]) -> list[Recorded]:
    """The events as the whole history of a tenant."""
    return [
        Recorded(tenant, position, Instant(1_790_000_000_000_000 + position), event)
        for position, event in enumerate(events, 1)
    ]


def _event(event: type[Event]) -> st.SearchStrategy[Event]:
    hints = typing.get_type_hints(event)
    return st.builds(event, **{field: _value(hints[field]) for field in event.__struct_fields__})


def _value(annotation: Any) -> st.SearchStrategy[Any]:
    if annotation in _KINDS:
        return st.sampled_from([f"{_KINDS[annotation]}_{number}" for number in (1, 2, 3)])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return st.one_of(*(_value(each) for each in typing.get_args(annotation)))
    if typing.get_origin(annotation) is tuple:
        return st.lists(_value(typing.get_args(annotation)[0]), max_size=3).map(tuple)
    return _SCALARS[annotation]


_SCALARS: Final[dict[Any, st.SearchStrategy[Any]]] = {
    type(None): st.none(),
    Code: st.sampled_from(_CODES),
    str: st.sampled_from(_CODES),
    Sealed: st.sampled_from(_SEALED),
    Instant: st.sampled_from([0, 1, (1 << 62)]),
    int: st.integers(-(1 << 63), (1 << 63) - 1),
    bool: st.booleans(),
    bytes: st.binary(max_size=3),
}
