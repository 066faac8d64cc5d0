"""Ids say what they name, sort by when they were made, and hold nothing of anybody."""

import pytest

from domain.ids import DEPLOYMENT, KINDS, id_from, is_id, kind_of


def test_an_id_says_what_it_names() -> None:
    for prefix, kind in KINDS.items():
        assert kind_of(id_from(prefix, 0, bytes(10))) == kind
    assert kind_of(DEPLOYMENT) == "tenant"


def test_ids_sort_by_when_they_were_made() -> None:
    late, early = id_from("usr", 1_700_000_000_001_000, bytes(10)), id_from("usr", 1_700_000_000_000_000, b"\xff" * 10)
    assert early < late
    assert len(late) == 36


@pytest.mark.parametrize(
    "text",
    [
        "",
        "usr",
        "usr_",
        "grp_1",
        "USR_1",
        "usr_A",
        "usr_1\n",
        "usr_1/2",
        "usr_é",
        "usr_\ud800",
        "usr_" + "1" * 61,
        "xusr_1",
    ],
)
def test_what_only_resembles_an_id_is_none(text: str) -> None:
    assert not is_id(text, "usr")


def test_an_id_may_be_one_of_several_kinds() -> None:
    assert is_id("grp_1", "usr", "grp")
    assert is_id("usr_" + "1" * 60, "usr")


def test_what_is_no_id_has_no_kind() -> None:
    with pytest.raises(KeyError):
        kind_of("who_1")
