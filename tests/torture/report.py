"""The report of a run: a section of Markdown with what was done, what came of it, and what was checked."""

import time
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from math import inf
from pathlib import Path
from statistics import median
from typing import Final

from tests.torture.cluster import Settings
from tests.torture.noted import Asked, Fault, Notes
from tests.torture.run import Plan, Ran
from tests.torture.verdict import Verdict

HEADING: Final = """# Reliability: results

Each section is one run of `python -m tests.torture`, as it reported itself. What is broken, how, and what is checked:
[reliability.md](reliability.md).

"""


def append(section: str, file: Path) -> None:
    """To a report, which is begun if it isn't there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    before = file.read_text() if file.exists() else HEADING
    file.write_text(before + section)


def report(settings: Settings, plan: Plan, ran: Ran, verdict: Verdict) -> str:
    """A section; its heading says how it was run."""
    fence = "" if settings.fencing else ", fencing switched off"
    heading = (
        f"{settings.nodes} nodes, {settings.brokers} broker{'s' * (settings.brokers > 1)}, {settings.client}{fence}"
    )
    parts = [
        f"### {heading}",
        f"`python -m tests.torture {_arguments(settings, plan)}` on {time.strftime('%d %B %Y', time.gmtime())}: "
        f"**{_verdict(settings, verdict)}**",
        _table(("what", "how many"), _numbers(plan, ran)),
        _table(
            ("fault", "times", "answered as before, median", "longest", "taken over, median", "longest"),
            _faults(ran.evidence.notes.faults),
        ),
        _table(("check", "looked at", "failed"), _checks(verdict)),
    ]
    shown = [f"* {each.check}: {each.what}" for each in verdict.violations[:10]]
    if shown:
        parts.append("The first of what was found:\n\n" + "\n".join(shown))
    return "\n\n".join(parts) + "\n\n"


def _arguments(settings: Settings, plan: Plan) -> str:
    fence = "" if settings.fencing else " --without-fencing"
    return (
        f"--minutes {plan.minutes:g} --brokers {settings.brokers} --client {settings.client} --seed {plan.seed}{fence}"
    )


def _verdict(settings: Settings, verdict: Verdict) -> str:
    if verdict.clean:
        return "everything held" if settings.fencing else "nothing was seen, though the fence was broken"
    return f"{len(verdict.violations)} violations" if settings.fencing else "the broken fence was seen"


def _numbers(plan: Plan, ran: Ran) -> list[tuple[str, str]]:
    notes = ran.evidence.notes
    results = Counter(each.result for each in notes.asked)
    again = sum(len(each.attempts) > 1 for each in notes.asked)
    return [
        ("minutes under load", f"{ran.seconds / 60:.1f}"),
        ("clients, tenants, partitions", f"{plan.clients}, {len(notes.tenants)}, {ran.evidence.partitions}"),
        ("commands acknowledged", f"{results['done'] + results['nothing']:,}"),
        ("of these, that changed nothing", f"{results['nothing']:,}"),
        ("commands refused", f"{results['refused']:,}"),
        ("commands whose outcome no client learnt", f"{results['ambiguous']:,}"),
        ("commands sent again with the same key", f"{again:,}"),
        ("reads answered", f"{len(notes.reads):,}"),
        ("reads not answered", f"{notes.unread:,}"),
        ("events in the topic", f"{ran.evidence.events:,}"),
        ("takeovers", f"{ran.evidence.takeovers:,}"),
        ("longest time that no client was answered", f"{_longest_silence(notes):.1f} s"),
        ("longest wait of a client for one command", f"{max(map(_wait, notes.asked), default=0):.1f} s"),
    ]


def _wait(asked: Asked) -> float:
    return asked.end - asked.call if asked.result != "ambiguous" else 0.0


def _longest_silence(notes: Notes) -> float:
    ends = sorted(each.end for each in notes.asked if each.result != "ambiguous")
    return max((after - before for before, after in pairwise(ends)), default=0.0)


def _faults(faults: Sequence[Fault]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for kind in sorted({each.kind for each in faults}):
        own = [each for each in faults if each.kind == kind]
        waits = [each.quiet - each.healed if each.quiet else inf for each in own]
        takeovers = [each.taken_over for each in own if each.taken_over is not None]
        rows.append((kind, str(len(own)), *_spread(waits), *_spread(takeovers)))
    return [*rows, ("all", str(len(faults)), "", "", "", "")]


def _spread(seconds: Sequence[float]) -> tuple[str, str]:
    """Median and longest."""
    return (f"{median(seconds):.1f} s", f"{max(seconds):.1f} s") if seconds else ("", "")


def _checks(verdict: Verdict) -> list[tuple[str, str, str]]:
    failed = verdict.failed
    return [(check, f"{verdict.looked[check]:,}", str(failed[check])) for check in sorted({*verdict.looked, *failed})]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines)
