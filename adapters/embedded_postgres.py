"""The PostgreSQL that a node starts for itself: the wheel's own programs, on a unix socket in a folder of the node's.

The folder (0700, ours) holds
    cluster/       what initdb made (0700, owned by whom PostgreSQL runs as), with the socket in it
    postgres.log   what the server says: its life, never a statement or a value
    socket         a link to a short way to the socket, only where its real path is too long to connect to

Who reaches the socket is superuser: the 0700 folder and socket are the lock, and only that account and root have the
key. The server outlives a node that is killed; the next start adopts it. One process at a time may start or stop it:
whoever holds the lock of the data folder.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from adapters.postgres_process import end, end_leftovers, name_of, running
from adapters.postgres_program import (
    INSTEAD,
    Account,
    PostgresUnavailable,
    account_for,
    last_words,
    maker_for,
    programs_for,
)

__all__ = ["EmbeddedPostgres", "PostgresUnavailable", "ensure_database"]

DATABASE = "muniment"
SUPERUSER = "postgres"
PORT = 5432  # only a part of the socket's name: nothing listens on a network
LONGEST_SOCKET_PATH = 103  # bytes; Linux takes 107, macOS 103
PATIENCE = 120.0  # seconds for a start, which may have a crash to recover from
PATIENCE_WITH_THE_DEAD = 30.0  # seconds for what a killed server left behind to end
LOG_IS_LONG = 1 << 20

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
    "port": str(PORT),
    "max_connections": "50",
    "shared_buffers": "128MB",
    "fsync": "on",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "jit": "off",
    "timezone": "UTC",
    "update_process_title": "off",
    # An error's text may quote a value ('invalid input syntax for type integer: "..."'), so errors go to the client
    # alone: `log` ranks above `error`, and keeps the server's own life and what is fatal.
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_checkpoints": "off",
}


class EmbeddedPostgres:
    """PostgreSQL of the node's own, on a unix socket below its folder; started, adopted if it already runs, stopped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._cluster = self._folder / "cluster"
        self._log = self._folder / "postgres.log"
        self._link = self._folder / "socket"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """The superuser's conninfo of the database `muniment`, once it answers; raises PostgresUnavailable."""
        self._end_child_unless(running(self._cluster))
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.chmod(0o700)
            account, command = self._prepare()
            conninfo = make_conninfo(host=str(self._way_to_socket()), port=PORT, user=SUPERUSER, dbname=DATABASE)
            if not self._adopt(command, conninfo):
                self._launch(account, command, conninfo)
            ensure_database(conninfo)
        except (OSError, psycopg.Error, psutil.Error) as error:
            raise PostgresUnavailable(
                f"PostgreSQL can't start in {self._folder}: {error}. Mend that, {INSTEAD}."
            ) from error
        return conninfo

    def stop(self) -> None:
        """A fast shutdown: what is under way is rolled back. Harder means only where it doesn't listen."""
        if server := running(self._cluster):
            end(server)
        self._end_child_unless(None)
        if self._link.is_symlink():
            if _is_our_way(self._link.readlink(), self._cluster):
                shutil.rmtree(self._link.readlink().parent)
            self._link.unlink()

    def restart(self) -> str:
        """Ends whatever is left of the server, then starts it."""
        self.stop()
        return self.start()

    def alive(self) -> bool:
        """Whether the server's process is there."""
        self._reap()
        return running(self._cluster) is not None

    @property
    def pid(self) -> int | None:
        server = running(self._cluster)
        return server.pid if server else None

    def _reap(self) -> None:
        if self._child and self._child.poll() is not None:
            self._child = None

    def _end_child_unless(self, server: psutil.Process | None) -> None:
        """Ends a server of ours that the folder no longer names: the folder was deleted beneath it."""
        self._reap()
        if self._child and (server is None or server.pid != self._child.pid):
            end(psutil.Process(self._child.pid))
            self._child.wait()
            self._child = None

    def _prepare(self) -> tuple[Account, list[str]]:
        """Makes the cluster if there is none; answers whom the server runs as, and its command line."""
        fresh = not (self._cluster / "PG_VERSION").exists()
        if fresh and self._cluster.exists():
            shutil.rmtree(self._cluster)  # no cluster, and nothing that the ledger couldn't tell again
        account = account_for(self._cluster)
        if fresh:
            self._initialise(account)
        elif not account.is_us and self._cluster.stat().st_uid != account.uid:
            account.own(self._cluster)  # put back from a copy, as root
        settings = {**SETTINGS, "cluster_name": name_of(self._cluster)}
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        return account, [str(programs_for(account) / "postgres"), "-D", account.here, *options]

    def _initialise(self, account: Account) -> None:
        """Runs initdb beside the place and moves its work there once it is whole."""
        unfinished = self._folder / "cluster.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        maker = maker_for(account)
        maker.own(unfinished)
        options = [f"--username={SUPERUSER}", "--encoding=UTF8", "--locale=C", "--no-instructions"]
        trust = ["--auth-local=trust", "--auth-host=reject"]
        maker.run([str(programs_for(maker) / "initdb"), "-D", maker.here, *options, *trust], unfinished)
        account.own(unfinished)
        unfinished.rename(self._cluster)

    def _way_to_socket(self) -> Path:
        """The cluster, or a short link to it in a 0700 folder, to which `socket` leads, where its path is too long."""
        if len(os.fsencode(self._cluster / f".s.PGSQL.{PORT}")) <= LONGEST_SOCKET_PATH:
            return self._cluster
        if not (self._link.is_symlink() and _is_our_way(self._link.readlink(), self._cluster)):
            self._link.unlink(missing_ok=True)
            way = Path(tempfile.mkdtemp(prefix="muniment-")) / "s"
            way.symlink_to(self._cluster)
            self._link.symlink_to(way)
        return self._link.readlink()

    def _adopt(self, command: list[str], conninfo: str) -> bool:
        """Whether the server runs already, as we would have started it, and answers; one that doesn't is ended."""
        server = running(self._cluster)
        if server is None:
            return False
        if server.cmdline() == command and self._answers(conninfo):
            return True
        end(server)
        self._reap()
        return False

    def _launch(self, account: Account, command: list[str], conninfo: str) -> None:
        deadline = time.monotonic() + PATIENCE_WITH_THE_DEAD
        while True:
            said = self._spawn(account, command)
            if self._answers(conninfo):
                return
            words = self._log.read_bytes()[said:]
            if b"shared memory block" not in words or time.monotonic() > deadline:
                break
            end_leftovers(self._cluster)
            time.sleep(0.02)
        raise PostgresUnavailable(
            f"PostgreSQL did not start: {last_words(words)} (more in {self._log}). Mend that, {INSTEAD};"
            f" or move {self._cluster} away: its views are built again from the ledger."
        )

    def _spawn(self, account: Account, command: list[str]) -> int:
        """Starts the server; answers how long its log was before."""
        for stale in ("postmaster.pid", f".s.PGSQL.{PORT}.lock"):  # their pids may be another's by now
            (self._cluster / stale).unlink(missing_ok=True)
        if self._log.exists() and self._log.stat().st_size > LOG_IS_LONG:
            self._log.replace(self._log.with_suffix(".log.1"))
        log = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            before = os.fstat(log).st_size
            self._child = account.spawn(command, self._cluster, log)
        finally:
            os.close(log)
        return before

    def _answers(self, conninfo: str) -> bool:
        """Waits until the server takes connections; no, if it ends first, or has lost its socket."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self._reap()
            if not (self._child or running(self._cluster)):
                return False
            if self._says_ready():
                try:
                    psycopg.connect(conninfo, dbname="postgres", connect_timeout=10).close()
                    return True
                except psycopg.OperationalError:
                    if not (self._cluster / f".s.PGSQL.{PORT}").exists():
                        return False
            time.sleep(0.01)
        return False

    def _says_ready(self) -> bool:
        try:
            return (self._cluster / "postmaster.pid").read_text().rstrip().endswith("ready")
        except OSError:
            return False


def ensure_database(conninfo: str) -> None:
    """Makes the database that a conninfo names if it isn't there; its user must be allowed to. Raises psycopg.Error."""
    with contextlib.suppress(psycopg.OperationalError):
        psycopg.connect(conninfo).close()
        return
    name = sql.Identifier(str(conninfo_to_dict(conninfo)["dbname"]))
    make = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'").format(name)
    made_by_another = contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation)
    with made_by_another, psycopg.connect(conninfo, dbname="postgres", autocommit=True) as connection:
        connection.execute(make)


def _is_our_way(way: Path, cluster: Path) -> bool:
    """A link in a temporary folder is only trusted while nobody else may change it."""
    try:
        room = way.parent.lstat()
        return room.st_uid == os.geteuid() and room.st_mode & 0o777 == 0o700 and way.readlink() == cluster
    except OSError:
        return False
