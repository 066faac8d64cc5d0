"""The broker's jars: fetched once by Maven into the user's cache, for every checkout that wants the same ones."""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
WAYS = (
    "apt-get install maven default-jre-headless (or your system's Maven and a Java 17 or newer), or start Kafka with "
    "`docker compose up kafka` and name it with MUNIMENT_TEST_KAFKA=localhost:9092"
)
_LIMIT = 900
"""Seconds that Maven may take on a slow line."""


def kafka_version() -> str:
    found = re.search(r"<kafka.version>([\w.-]+)</kafka.version>", POM.read_text())
    assert found, "pom.xml names no version"
    return found[1]


def cache_folder() -> Path:
    """Outside of any checkout: $XDG_CACHE_HOME/muniment, or ~/.cache/muniment."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "muniment"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def kafka_jars() -> Path:
    """The folder that holds the whole class path. Raises RuntimeError, which says what to install."""
    recipe = hashlib.sha256(POM.read_bytes()).hexdigest()[:8]
    folder = cache_folder() / f"kafka-{kafka_version()}-{recipe}"
    if not folder.is_dir():
        with locked(folder.parent / f"{folder.name}.lock"):
            if not folder.is_dir():
                _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise RuntimeError(f"Kafka's jars come by Maven, and there is no mvn here: {WAYS}")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.") as fresh:
        goal = "dependency:copy-dependencies"
        command = [maven, "-B", "-q", "-f", str(POM), goal, "-DincludeScope=runtime", f"-DoutputDirectory={fresh}/jars"]
        run = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT, check=False)
        if run.returncode or not list(Path(fresh, "jars").glob("kafka_2.13-*.jar")):
            raise RuntimeError(f"Maven could not fetch Kafka ({run.stdout[-1500:]}{run.stderr[-500:]}); {WAYS}")
        Path(fresh, "jars").rename(folder)


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """One process at a time; the others wait."""
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
