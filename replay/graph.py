"""A radius as a graph in the DOT language, which Graphviz and its kin draw."""

from typing import Final

from replay.reached import Radius

_SHAPES: Final = {
    "credential": "note",
    "user": "ellipse",
    "group": "hexagon",
    "role": "diamond",
    "flag": "tab",
    "directory": "cylinder",
    "operator": "doubleoctagon",
    "address": "house",
}


def dot_of(radius: Radius) -> str:
    """The graph; where it began is filled, and what was left out is said in its label."""
    cut = "".join(f"; cut at {each.position}: {each.because}" for each in radius.cuts)
    lines = [
        "digraph radius {",
        "  rankdir=LR;",
        f"  label={_quoted('blast radius of ' + radius.of + cut)};",
        '  node [fontname="sans-serif", fontsize=10]; edge [fontname="sans-serif", fontsize=9];',
    ]
    for node in radius.nodes:
        style = ", style=filled, fillcolor=gold" if node.id == radius.of else ""
        shape = _SHAPES.get(node.kind, "box")
        lines.append(f"  {_quoted(node.id)} [shape={shape}, label={_quoted(node.kind + ' ' + node.id)}{style}];")
    for edge in radius.edges:
        more = f" (+{edge.count - 1})" if edge.count > 1 else ""
        label = f"{edge.what} at {edge.positions[0]}{more}"
        lines.append(f"  {_quoted(edge.source)} -> {_quoted(edge.target)} [label={_quoted(label)}];")
    return "\n".join((*lines, "}", ""))


def _quoted(text: str) -> str:
    """A DOT string: nothing in it can end it."""
    plain = "".join(each if each.isprintable() else "?" for each in text)
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
