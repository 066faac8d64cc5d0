"""The torture run in short: three nodes, one broker, one fault of each kind, and everything holds."""

from pathlib import Path

import pytest

from tests.torture.checker import check
from tests.torture.cluster import Deployment, Settings
from tests.torture.faults import BROKER, CUT, IN_COMMIT, INDEX
from tests.torture.report import report
from tests.torture.run import Plan, torture

PLAN = Plan(clients=6, tenants=8, kinds=(INDEX, IN_COMMIT, BROKER, CUT))


@pytest.mark.timeout(600)
def test_everything_holds_whatever_breaks(tmp_path: Path) -> None:
    settings = Settings(session=3)
    with Deployment(tmp_path, settings) as deployment:
        ran = torture(deployment, PLAN)
    verdict = check(ran.evidence)
    assert verdict.clean, verdict.text()
    assert [each.kind for each in ran.evidence.notes.faults] == [*PLAN.kinds]
    assert ran.evidence.notes.answered > 10 * PLAN.clients
    assert "everything held" in report(settings, PLAN, ran, verdict)
