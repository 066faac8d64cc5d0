"""Commands, run as people and scripts run them."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROGRAMS = Path(sys.executable).parent
MUNIMENT = str(PROGRAMS / "muniment")
PATIENCE = 90


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours, without any setting of a node, and with our programs first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MUNIMENT_", "SCIM_CLI_"))}
    return {**kept, "PATH": f"{PROGRAMS}{os.pathsep}{kept.get('PATH', '')}", **(extra or {})}


def muniment(*words: str, extra: Mapping[str, str] | None = None) -> Any:
    """What a command answers, as JSON."""
    run = attempt(*words, "--json", extra=extra)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def attempt(*words: str, extra: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """A command, however it ends."""
    return subprocess.run(
        [MUNIMENT, *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=environment(extra),
    )


def refused(*words: str, extra: Mapping[str, str] | None = None) -> str:
    """The one sentence with which a command says that it can't."""
    run = attempt(*words, extra=extra)
    assert run.returncode == 1, run.stdout + run.stderr
    assert run.stdout == ""
    said = [line for line in run.stderr.splitlines() if not line.startswith("{")]
    assert len(said) == 1, run.stderr
    assert said[0].startswith("Error: ")
    return said[0].removeprefix("Error: ")
