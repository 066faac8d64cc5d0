"""A running PostgreSQL server: known by its folder, whatever became of its pid and path, and ended for certain."""

import contextlib
import signal
import time
from pathlib import Path

import psutil

from adapters.postgres_program import PostgresUnavailable


def running(cluster: Path) -> psutil.Process | None:
    """The process that postmaster.pid names, if it is this very folder's server and no later owner of its pid."""
    try:
        with (cluster / "postmaster.pid").open() as lines:
            server = psutil.Process(int(lines.readline()))
        return server if f"cluster_name={name_of(cluster)}" in server.cmdline() else None
    except (OSError, ValueError, psutil.Error):
        return None


def name_of(cluster: Path) -> str:
    """A name for this very folder, whatever its path; the server carries it on its command line."""
    status = cluster.stat()
    return f"muniment-{status.st_dev:x}-{status.st_ino:x}"


def end(server: psutil.Process) -> None:
    """Ends a server: fast, then without a checkpoint, then at once; each is safe, the later ones make it recover."""
    for how, seconds in ((signal.SIGINT, 30), (signal.SIGQUIT, 10), (signal.SIGKILL, 10)):
        deadline = time.monotonic() + seconds
        with contextlib.suppress(psutil.NoSuchProcess):
            server.send_signal(how)
        while time.monotonic() < deadline:
            if _ended(server):
                return
            time.sleep(0.005)
    raise PostgresUnavailable(f"PostgreSQL (process {server.pid}) does not end: end it, then start the node again.")


def _ended(process: psutil.Process) -> bool:
    """Whether a process is gone, or waits only for a parent that may never collect it (a container's first process)."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def end_leftovers(cluster: Path) -> None:
    """Ends what a killed server, or one that lost its folder, left behind with the cluster's memory in its hands."""
    name = name_of(cluster)
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if f"cluster_name={name}" in words or " ".join(words).startswith(f"postgres: {name}: "):
                process.kill()
        except psutil.Error:
            continue
