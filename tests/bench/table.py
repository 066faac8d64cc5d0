"""The table of a benchmark: rows, how each compares, and whether it meets its bar."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec
from rich.console import Console
from rich.table import Table


class Row(NamedTuple):
    """One line: a value, what it is compared with, and the bar for their ratio (none for what is only told)."""

    row: str
    value: float
    unit: str
    against: str = ""
    ratio: float | None = None
    bar: str = ""
    """`≥ 0.5` or `≤ 1.5`."""

    @property
    def holds(self) -> bool:
        """Whether the bar is met; what has none meets it."""
        if not self.bar or self.ratio is None:
            return True
        sign, _, number = self.bar.partition(" ")
        return self.ratio >= float(number) if sign == "≥" else self.ratio <= float(number)


def versus(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The ratio of what was measured in turn: the median, so that a noisy moment doesn't decide."""
    return median(mine / other for mine, other in zip(ours, theirs, strict=True))


def show(group: str, rows: Sequence[Row]) -> None:
    table = Table("what", "value", "against", "ratio", "bar", "holds", title=group, title_justify="left")
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        holds = "" if not row.bar else "yes" if row.holds else "NO"
        table.add_row(row.row, f"{row.value:,.4g} {row.unit}", row.against, ratio, row.bar, holds)
    Console().print(table)


def write(path: Path, groups: dict[str, Sequence[Row]]) -> None:
    """Every row of the run, as JSON."""
    path.parent.mkdir(exist_ok=True)
    listed = [{"group": group, **row._asdict(), "holds": row.holds} for group, rows in groups.items() for row in rows]
    path.write_bytes(msgspec.json.format(msgspec.json.encode(listed)) + b"\n")
