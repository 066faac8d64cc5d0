"""The drawing of a graph: every node has a place of its own, and what follows stands to the right."""

from api.pages.graph import HIGH, Joined, drawing

NODES = {"key": "credential", "ada": "user", "role": "role", "new": "credential", "flag": "flag"}
EDGES = [
    Joined("key", "ada", "User provisioned", 1),
    Joined("key", "new", "Api key issued", 1),
    Joined("new", "flag", "Flag switched off", 2),
    Joined("ada", "role", "Role assigned", 1),
    Joined("role", "ada", "Role withdrawn", 1),
    Joined("key", "key", "Api key rotated", 9),
]


def test_what_follows_stands_to_the_right() -> None:
    drawn = drawing("key", NODES, EDGES, 60)
    place = {each.id: each for each in drawn.boxes}
    assert set(place) == set(NODES)
    assert place["key"].x < place["ada"].x == place["new"].x < place["role"].x == place["flag"].x
    for one in drawn.boxes:
        for other in drawn.boxes:
            if one is not other and one.x == other.x:
                assert abs(one.y - other.y) >= HIGH
        assert one.x + drawn.wide <= drawn.width
        assert one.y + drawn.high <= drawn.height


def test_a_pair_is_joined_by_one_line_that_says_all_of_it_and_nothing_joins_itself() -> None:
    twice = [*EDGES, Joined("key", "ada", "User renamed", 7)]
    lines = {(each.source, each.target): each for each in drawing("key", NODES, twice, 60).lines}
    assert lines["key", "ada"].says == "User provisioned, User renamed × 7"
    assert lines["key", "ada"].heavy
    assert ("key", "key") not in lines
    assert ("role", "ada") in lines


def test_the_first_nodes_are_drawn_and_the_others_counted() -> None:
    nodes = {"key": "credential", **{f"n{each}": "user" for each in range(500)}}
    edges = [Joined("key", f"n{each}", "User provisioned", 1) for each in range(500)]
    drawn = drawing("key", nodes, edges, 60)
    assert len(drawn.boxes) == 60
    assert drawn.left_out == 441
    assert len(drawn.lines) == 59


def test_what_nothing_leads_to_is_drawn_too() -> None:
    drawn = drawing("key", {**NODES, "alone": "group"}, EDGES, 60)
    assert "alone" in {each.id for each in drawn.boxes}


def test_a_circle_ends() -> None:
    around = [Joined("a", "b", "x", 1), Joined("b", "c", "x", 1), Joined("c", "a", "x", 1)]
    assert len(drawing("a", {"a": "", "b": "", "c": ""}, around, 10).boxes) == 3
