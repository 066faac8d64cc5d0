"""The tour in README.md, pasted into a shell from its first command to its last."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.commands import environment
from tests.node import running_node

README = Path(__file__).parent.parent.parent / "README.md"
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def tour() -> list[tuple[str, str]]:
    """Its blocks in order: what is pasted (sh), and what then is said (text)."""
    section = README.read_text().partition("## A two-minute tour\n")[2].partition("\n## ")[0]
    return [(kind, text) for kind, text in BLOCK.findall(section)]


def pattern_of(line: str) -> re.Pattern[str]:
    """A line of an answer, where `…` stands for anything and spaces for as many as there are."""
    parts = (r"\s+".join(map(re.escape, part.split(" "))) for part in line.strip().split("…"))
    return re.compile(".*?".join(parts))


@pytest.mark.timeout(180)
def test_the_tour_works_when_it_is_pasted_and_says_what_it_shows(tmp_path: Path) -> None:
    blocks = tour()
    assert [kind for kind, _ in blocks].count("sh") >= 6
    script = "".join(
        f"{text}\necho '== end of block {number}'\n" for number, (kind, text) in enumerate(blocks) if kind == "sh"
    )
    with running_node(tmp_path / "data"):
        run = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            check=False,
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
        )
    assert run.returncode == 0, run.stdout + run.stderr
    said = re.split(r"== end of block \d+\n", run.stdout)
    pasted = 0
    for kind, text in blocks:
        if kind == "sh":
            pasted += 1
            continue
        for line in text.splitlines():
            assert pattern_of(line).search(said[pasted - 1]), f"{line!r} is not in\n{said[pasted - 1]}"
