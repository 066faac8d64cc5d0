"""`python -m tests.bench.growth [MOST]`: how search, fold, proof and storage grow with a tenant, as docs/growth.svg."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

DRAWN: Final = Path("docs/growth.svg")
MEASURED: Final = Path("build/growth.json")
SIZES: Final = (10_000, 100_000, 1_000_000, 10_000_000)
MOST_FOLDED: Final = 1_000_000
"""Events of the longest history that is folded: filling a ledger with more takes hours."""
PANELS: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "Search by actor and time, ms": (("search", "archive and tail"),),
    "Fold of all views as of a moment, s": (("fold", "from the beginning"), ("fold_snapshots", "with snapshots")),
    "Inclusion proof, µs": (("proof", "tree resident"),),
    "Storage, MB": (("archive", "archive (Parquet)"), ("tree", "resident tree"), ("ledger", "ledger (SQLite)")),
}


def main(arguments: list[str]) -> int:
    """Each size in a process of its own, so that none finds the memory of another."""
    if arguments[:1] == ["--one"]:
        print(json.dumps(measure(int(arguments[1]))))
        return 0
    most = int(arguments[0]) if arguments else SIZES[-1]
    found: dict[int, dict[str, float]] = {}
    for events in (each for each in SIZES if each <= most):
        environment = {**os.environ, "MUNIMENT_BENCH_EVENTS": str(min(events, MOST_FOLDED))}
        command = [sys.executable, "-m", "tests.bench.growth", "--one", str(events)]
        run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        found[events] = json.loads(run.stdout.splitlines()[-1])
        print(events, found[events], file=sys.stderr)
    MEASURED.parent.mkdir(exist_ok=True)
    MEASURED.write_text(json.dumps(found, indent=1) + "\n")
    print(table(found))
    draw(found, DRAWN)
    return 0


def measure(events: int) -> dict[str, float]:
    from tests.bench import archive, evidence_trees, replaying

    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        search, size = archive.searching(Path(folder, "years"), events)
        found |= {"search": search.value, "archive": size.value * events / 1e6}
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        rows = {row.unit: row for row in evidence_trees.rows(Path(folder), events)}
        found |= {"proof": rows["µs"].value, "tree": rows["MB"].value}
        found["ledger"] = Path(folder, "ledger.db").stat().st_size / 1e6
    if events <= MOST_FOLDED:
        with tempfile.TemporaryDirectory(prefix="growth-") as folder:
            (fold,) = replaying.as_of_rows(Path(folder))
            found |= {"fold": fold.value * (fold.ratio or 0.0), "fold_snapshots": fold.value}
    return found


def table(found: Mapping[int, Mapping[str, float]]) -> str:
    """As Markdown."""
    columns = [(key, f"{panel.rpartition(', ')[0]}: {what}") for panel, lines in PANELS.items() for key, what in lines]
    units = {key: panel.rpartition(", ")[2] for panel, lines in PANELS.items() for key, _ in lines}
    sizes = sorted(found)
    lines = ["| what | " + " | ".join(f"{size:,}" for size in sizes) + " |", "| --- |" + " ---: |" * len(sizes)]
    for key, what in columns:
        cells = [f"{_short(found[size][key])} {units[key]}" if key in found[size] else "" for size in sizes]
        lines.append(f"| {what} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def draw(found: Mapping[int, Mapping[str, float]], into: Path) -> None:
    """Both axes by powers of ten."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "muniment", "font.size": 9})
    figure, axes = pyplot.subplots(2, 2, figsize=(9, 6), layout="constrained")
    for axis, (title, lines) in zip(axes.flat, PANELS.items(), strict=True):
        for key, label in lines:
            points = [(size, values[key]) for size, values in sorted(found.items()) if values.get(key)]
            if points:
                axis.loglog(*zip(*points, strict=True), marker="o", label=label)
        axis.set_title(title, loc="left")
        axis.set_xlabel("events of the tenant")
        axis.grid(visible=True, which="major", alpha=0.3)
        axis.legend(frameon=False)
    figure.savefig(into, metadata={"Date": None})
    pyplot.close(figure)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
