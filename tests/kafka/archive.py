"""The broker's classes, parsed once and shared by every broker started later: that halves the time of a start."""

import contextlib
import functools
import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from tests.kafka.jars import cache_folder, kafka_jars, locked
from tests.kafka.java import java
from tests.kafka.ports import free_port
from tests.kafka.properties import Addresses, properties
from tests.kafka.server import Broker


@functools.cache
def shared_classes() -> tuple[str, ...]:
    """Java's options; none if this Java can't, and then a start only takes longer."""
    jars = kafka_jars()
    build = subprocess.run([java(), "-version"], capture_output=True, check=True).stderr
    recipe = hashlib.sha256(build + os.fsencode(java()) + os.fsencode(jars)).hexdigest()[:8]
    archive = cache_folder() / f"{jars.name}-classes-{recipe}.jsa"
    if not archive.exists():
        with locked(archive.with_suffix(".lock")):
            if not archive.exists():
                _write(archive)
    return (f"-XX:SharedArchiveFile={archive}",) if archive.stat().st_size else ()


def _write(archive: Path) -> None:
    """Java writes it at the end of a broker's short life; an empty one remembers that it wouldn't."""
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        fresh = Path(folder, "fresh.jsa")
        own = Addresses(1, free_port(), free_port())
        broker = Broker(Path(folder), own, properties(own, [own], {}), [f"-XX:ArchiveClassesAtExit={fresh}"])
        broker.format("the-classes-of-a-start")
        with contextlib.suppress(RuntimeError):
            try:
                broker.start()
            finally:
                broker.stop()
        fresh.touch()
        fresh.rename(archive)
