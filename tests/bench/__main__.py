"""`python -m tests.bench [group]` measures, prints a table for each group, and writes build/bench.json."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tests.bench import (
    archive,
    checks,
    evidence_trees,
    folding,
    http,
    kafka,
    kafka_catch_up,
    kafka_failover,
    kafka_two_nodes,
    ledger,
    replaying,
    simulation,
    sizes,
    views,
)
from tests.bench.table import Row, show, write

Rows = Callable[[Path], Iterator[Row]]

GROUPS: Final[dict[str, tuple[Rows, ...]]] = {
    "ledger": (ledger.rows, folding.rows, http.rows, views.rows, checks.rows, sizes.rows),
    "kafka": (kafka.rows, kafka_catch_up.rows, kafka_failover.rows, kafka_two_nodes.rows),
    "simulation": (simulation.rows,),
    "evidence": (evidence_trees.rows, archive.rows, replaying.rows),
}
"""What each group measures, in turn. A function gets an empty folder to work in, and yields rows."""


def main(wanted: list[str]) -> int:
    unknown = [group for group in wanted if group not in GROUPS]
    if unknown:
        print(f"there is no group {', '.join(unknown)}; there are {', '.join(GROUPS)}", file=sys.stderr)
        return 2
    results: dict[str, list[Row]] = {}
    for group in wanted or GROUPS:
        results[group] = []
        for rows in GROUPS[group]:
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                for row in rows(Path(folder)):
                    print(f"{row.row}: {row.value:,.4g} {row.unit}", file=sys.stderr)
                    results[group].append(row)
        show(group, results[group])
    write(Path("build/bench.json"), dict(results))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
