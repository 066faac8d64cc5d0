"""A graph drawn from left to right, laid out here: what follows from a thing stands to its right.

Places are given in layers: a node's is one more than that of the first node that leads to it. Within a layer nodes
stand near what they are joined to, which is found by taking the mean of their neighbours' places a few times.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final, NamedTuple

WIDE: Final = 172
HIGH: Final = 38
_ACROSS: Final = 96
_DOWN: Final = 14
_EDGE: Final = 12
_SWEEPS: Final = 6
_SEEN_AT_ONCE: Final = 9
"""Nodes of a layer; with more, all layers begin at the top, where the drawing is seen first."""


class Box(NamedTuple):
    """A node's place in the drawing."""

    id: str
    kind: str
    x: float
    y: float


class Line(NamedTuple):
    """An edge: an SVG path, and what it says."""

    source: str
    target: str
    says: str
    path: str
    heavy: bool


class Drawing(NamedTuple):
    boxes: list[Box]
    lines: list[Line]
    width: float
    height: float
    left_out: int
    """Nodes for which there was no room; the table has them."""
    wide: int = WIDE
    high: int = HIGH


class Joined(NamedTuple):
    """An edge to draw: so many events of a kind."""

    source: str
    target: str
    what: str
    events: int


def drawing(start: str, nodes: Mapping[str, str], edges: Iterable[Joined], most: int) -> Drawing:
    """The first `most` nodes (id → kind, in order of importance) that `start` leads to, and what joins them."""
    joined = list(edges)
    layer_of = _layers(start, nodes, joined)
    kept = dict.fromkeys(islice(dict.fromkeys((start, *nodes)), most))
    layers: dict[int, list[str]] = defaultdict(list)
    for id in kept:
        layers[layer_of[id]].append(id)
    shown = [each for each in joined if each.source in kept and each.target in kept]
    _sort(layers, shown)
    places = _places(layers)
    boxes = [Box(id, nodes.get(id, ""), *places[id]) for number in sorted(layers) for id in layers[number]]
    width = max(each.x for each in boxes) + WIDE + _EDGE
    height = max(each.y for each in boxes) + HIGH + _EDGE
    return Drawing(boxes, _lines(shown, places, layer_of), width, height, len(nodes) - len(kept))


def _layers(start: str, nodes: Mapping[str, str], edges: list[Joined]) -> dict[str, int]:
    """How many steps each node is from the start; what nothing leads to stands beside what is first reached."""
    following: dict[str, list[str]] = defaultdict(list)
    for each in edges:
        following[each.source].append(each.target)
    found, waiting = {start: 0}, deque([start])
    while waiting:
        id = waiting.popleft()
        for target in following[id]:
            if target not in found:
                found[target] = found[id] + 1
                waiting.append(target)
    for id in nodes:
        found.setdefault(id, 1)
    return found


def _sort(layers: dict[int, list[str]], edges: list[Joined]) -> None:
    near: dict[str, list[str]] = defaultdict(list)
    for each in edges:
        near[each.source].append(each.target)
        near[each.target].append(each.source)
    for _ in range(_SWEEPS):
        place = {id: at - len(ids) / 2 for ids in layers.values() for at, id in enumerate(ids)}
        for ids in layers.values():
            mean = {id: sum(place[each] for each in near[id]) / len(near[id]) if near[id] else place[id] for id in ids}
            ids.sort(key=mean.__getitem__)


def _places(layers: Mapping[int, list[str]]) -> dict[str, tuple[float, float]]:
    tallest = max(len(ids) for ids in layers.values())
    places: dict[str, tuple[float, float]] = {}
    for column, number in enumerate(sorted(layers)):
        ids = layers[number]
        top = _EDGE + (tallest - len(ids)) * (HIGH + _DOWN) / 2 * (tallest <= _SEEN_AT_ONCE)
        for row, id in enumerate(ids):
            places[id] = (_EDGE + column * (WIDE + _ACROSS), round(top + row * (HIGH + _DOWN), 1))
    return places


def _lines(edges: list[Joined], places: Mapping[str, tuple[float, float]], layer_of: Mapping[str, int]) -> list[Line]:
    """One for each pair of nodes, whatever joins them."""
    between: dict[tuple[str, str], list[Joined]] = defaultdict(list)
    for each in edges:
        if each.source != each.target:
            between[each.source, each.target].append(each)
    lines = []
    for (source, target), joined in between.items():
        says = ", ".join(f"{each.what}{f' × {each.events}' if each.events > 1 else ''}" for each in joined)
        path = _path(places[source], places[target], layer_of[target] - layer_of[source])
        lines.append(Line(source, target, says, path, sum(each.events for each in joined) > 5))
    return lines


def _path(source: tuple[float, float], target: tuple[float, float], step: int) -> str:
    (x1, y1), (x2, y2) = source, target
    y1, y2 = y1 + HIGH / 2, y2 + HIGH / 2
    if step > 0:
        x1 += WIDE
        bend = _ACROSS * 0.55
        return f"M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}"
    if step < 0:
        x2 += WIDE
        return f"M{x1} {y1}C{x1 - _ACROSS / 2} {y1} {x2 + _ACROSS / 2} {y2} {x2} {y2}"
    x1, x2 = x1 + WIDE, x2 + WIDE
    return f"M{x1} {y1}C{x1 + _ACROSS * 0.6} {y1} {x2 + _ACROSS * 0.6} {y2} {x2} {y2}"
