"""The graph of a radius as SVG: in columns, by how many steps it took from where it began; drawn without scripts."""

from collections import deque
from html import escape
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from api.blast_radius import BlastRadius

MOST_DRAWN: Final = 60
_COLUMN, _ROW, _WIDTH, _HEIGHT = 280, 46, 222, 30


def svg_of(radius: "BlastRadius") -> str | None:
    """None for more things than anybody can look at; the tables have them all."""
    if not 1 < len(radius.nodes) <= MOST_DRAWN:
        return None
    places = _placed(radius)
    width = (max(column for column, _ in places.values()) + 1) * _COLUMN
    height = (max(row for _, row in places.values()) + 1) * _ROW + 10
    kinds = {node.id: node.kind for node in radius.nodes}
    parts = [
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="What was reached, from where it began">'
    ]
    for edge in radius.edges:
        if edge.source in places and edge.target in places:
            parts.append(_line(places[edge.source], places[edge.target], f"{edge.what} at {edge.positions[0]}"))
    for id, place in places.items():
        parts.append(_box(place, kinds[id], id, id == radius.of))
    return "".join((*parts, "</svg>"))


def _placed(radius: "BlastRadius") -> dict[str, tuple[int, int]]:
    """Column and row of each."""
    following: dict[str, list[str]] = {}
    for edge in radius.edges:
        following.setdefault(edge.source, []).append(edge.target)
    depth, waiting = {radius.of: 0}, deque([radius.of])
    while waiting:
        current = waiting.popleft()
        for each in following.get(current, ()):
            if each not in depth:
                depth[each] = depth[current] + 1
                waiting.append(each)
    rows: dict[int, int] = {}
    places = {}
    for node in radius.nodes:
        column = depth.get(node.id, 0)
        places[node.id] = (column, rows.get(column, 0))
        rows[column] = rows.get(column, 0) + 1
    return places


def _line(source: tuple[int, int], target: tuple[int, int], label: str) -> str:
    x1, y1 = source[0] * _COLUMN + _WIDTH, source[1] * _ROW + 5 + _HEIGHT / 2
    x2, y2 = target[0] * _COLUMN, target[1] * _ROW + 5 + _HEIGHT / 2
    if source[0] >= target[0]:
        x1, x2 = x1 - _WIDTH // 2, x2 + _WIDTH // 2
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"><title>{escape(label)}</title></line>'


def _box(place: tuple[int, int], kind: str, id: str, is_seed: bool) -> str:
    x, y = place[0] * _COLUMN, place[1] * _ROW + 5
    mark = ' class="seed"' if is_seed else ""
    name = id if len(id) <= 20 else f"{id[:8]}…{id[-8:]}"
    return (
        f'<g{mark}><rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="5"/>'
        f'<text x="{x + 8}" y="{y + 19}">{escape(kind)} {escape(name)}</text><title>{escape(id)}</title></g>'
    )
