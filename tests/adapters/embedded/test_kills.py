"""A writer that is killed at any moment has lost nothing that it acknowledged."""

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from adapters.embedded.tail import remembered_in
from adapters.index.evidence import LogEvidence
from domain.event import Recorded
from domain.ids import TenantId
from domain.ledger import OpaqueRecorded, Query
from tests.adapters.index.logs import HERE, THERE, Log, note, running, work

KILLS = 5


def acknowledged_by_a_killed_writer(folder: Path, first: int, lines: int) -> list[tuple[int, TenantId, int]]:
    """(number, tenant, position) of all that it acknowledged before it was killed, some time after so many lines."""
    command = [sys.executable, "-m", "tests.adapters.embedded.writer_program", str(folder), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        said = [program.stdout.readline() for _ in range(lines)]
        program.kill()
        said += program.stdout.readlines()
    whole = [line.split() for line in said if line.endswith("\n")]
    return [(int(number), TenantId(tenant), int(position)) for number, tenant, position in whole]


def history(log: Log, tenant: TenantId) -> list[Recorded]:
    return list(log.history.recorded(tenant, Query(), 1_000_000))


@pytest.mark.timeout(300)
async def test_what_was_acknowledged_survives_kills(tmp_path: Path) -> None:
    chance = random.Random(5)
    acknowledged: list[tuple[int, TenantId, int]] = []
    histories: dict[TenantId, list[Recorded]] = {}
    for kill in range(KILLS):
        acknowledged += acknowledged_by_a_killed_writer(tmp_path, kill * 1_000_000, chance.randrange(1, 400))
        async with running(tmp_path) as log:
            histories = {tenant: history(log, tenant) for tenant in (HERE, THERE)}
            check_that_all_is_there_once(histories, acknowledged)
            evidence = LogEvidence(log.database, remembered_in(tmp_path / "ledger.tail"))
            assert evidence.check().sequence == log.sequencer.sequence
            for tenant in (HERE, THERE):
                assert evidence.tree(tenant).problem is None
    async with running(tmp_path) as log:
        outcome = await log.sequencer.execute(work(note(b"next")))
        assert outcome.position == len(histories[HERE]) + 1


def check_that_all_is_there_once(
    histories: dict[TenantId, list[Recorded]], acknowledged: list[tuple[int, TenantId, int]]
) -> None:
    for tenant, recorded in histories.items():
        assert [each.position for each in recorded] == list(range(1, len(recorded) + 1))
        assert set(Counter(_said(each) for each in recorded).values()) <= {2}, tenant
    for number, tenant, position in acknowledged:
        assert [_said(each) for each in histories[tenant][position - 2 : position]] == [b"%d" % number] * 2


def _said(recorded: Recorded) -> bytes:
    assert isinstance(recorded.event, OpaqueRecorded)
    return recorded.event.data
