"""`python -m tests.torture` breaks things for a while, then says whether everything promised has held."""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

from tests.torture.checker import check
from tests.torture.cluster import Deployment, Settings
from tests.torture.faults import IN_COMMIT, ZOMBIE
from tests.torture.report import append, report
from tests.torture.run import Plan, Ran, keep, kept, torture

EVIDENCE: Final = "evidence"


def main(arguments: Sequence[str]) -> int:
    """0 if all held; with --without-fencing, if that was seen."""
    asked = _parser().parse_args(arguments)
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _leave)
    settings = Settings(brokers=asked.brokers, client=asked.client, fencing=not asked.without_fencing)
    plan = Plan(
        seed=asked.seed,
        clients=asked.clients,
        tenants=asked.tenants,
        minutes=asked.minutes,
        kinds=tuple(asked.only) or ((IN_COMMIT, ZOMBIE) if asked.without_fencing else ()),
        patience=30.0 if asked.without_fencing else 180.0,
    )
    if asked.check:
        return _judge(kept(asked.check), settings, plan, asked)
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    _say(f"seed {plan.seed}; files are in {folder}")
    with Deployment(folder, settings) as deployment:
        ran = torture(deployment, plan, _say)
    keep(ran, folder / EVIDENCE)
    code = _judge(ran, settings, plan, asked)
    if code:
        _say(f"what happened is in {folder}; look at it again with --check {folder / EVIDENCE}")
    else:
        shutil.rmtree(folder)
    return code


def _judge(ran: Ran, settings: Settings, plan: Plan, asked: argparse.Namespace) -> int:
    _say("checking")
    verdict = check(ran.evidence)
    print(verdict.text())
    if asked.report:
        append(report(settings, plan, ran, verdict), asked.report)
    return int(verdict.clean == asked.without_fencing)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="for how long things are broken")
    parser.add_argument("--brokers", type=int, choices=(1, 3), default=1)
    parser.add_argument("--client", choices=("kafka-python", "librdkafka"), default="kafka-python")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument("--only", action="append", default=[], help="a kind of fault; may be named again")
    parser.add_argument("--without-fencing", action="store_true", help="break the fence, and expect that it is seen")
    parser.add_argument("--report", type=Path, help="append what came of it to this Markdown file")
    parser.add_argument("--check", type=Path, help="check a run's kept evidence again, and run nothing")
    return parser


def _leave(number: int, _: object) -> NoReturn:
    """So that nothing is left running."""
    raise KeyboardInterrupt


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
