"""What the checks that never end have found: each kind of check, when it looked last, and what was wrong then."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge

Check = Literal["views", "index", "archive", "checkpoints"]
CHECKS: Final[Mapping[Check, str]] = {
    "views": "Stored and resident rows are what the history folds to.",
    "index": "What the node keeps is what was committed: each chain and tree of hashes, stretches of a log elsewhere.",
    "archive": "The archived events are those of the log, byte for byte.",
    "checkpoints": "Histories are what signed checkpoints say, and the deployment's log grows from itself.",
}
"""What each says when nothing is wrong."""
MOST_SUBJECTS: Final = 1_000
MOST_EACH: Final = 20


class Found(NamedTuple):
    """What is wrong, and with what: a tenant, or a part of the log."""

    subject: str
    what: str


class Findings:
    """Of one node, since it started. Subjects are ids; what is wrong names places and never values."""

    def __init__(self, metrics: CollectorRegistry) -> None:
        self._problems: dict[Check, dict[str, tuple[str, ...]]] = {check: {} for check in CHECKS}
        self._last: dict[Check, float] = {}
        self._count: dict[Check, int] = dict.fromkeys(CHECKS, 0)
        labels = ("check",)
        self._looks = Counter("muniment_audit_looks", "Times that a check was made.", labels, registry=metrics)
        wrong = Gauge("muniment_audit_problems", "Of how much it says that it is wrong.", labels, registry=metrics)
        last = Gauge("muniment_audit_last_look_seconds", "When it was made last.", labels, registry=metrics)
        for check in CHECKS:
            self._looks.labels(check)
            wrong.labels(check).set_function(partial(self._wrong, check))
            last.labels(check).set_function(partial(self._looked_at, check))

    def looked(self, check: Check, subject: str, problems: Sequence[str]) -> bool:
        """Keeps what is wrong with a subject now, in place of what was; whether it was not known."""
        self._looks.labels(check).inc()
        self._last[check] = time.time()
        self._count[check] += 1
        known = self._problems[check]
        before = known.pop(subject, ())
        now = tuple(problems[:MOST_EACH])
        if now and len(known) < MOST_SUBJECTS:
            known[subject] = now
        return bool(now) and now != before

    def _wrong(self, check: Check) -> float:
        return len(self._problems[check])

    def _looked_at(self, check: Check) -> float:
        return self._last.get(check, 0.0)

    def looks(self, check: Check) -> int:
        """How many times."""
        return self._count[check]

    def last(self, check: Check) -> float | None:
        """When, in seconds since 1970."""
        return self._last.get(check)

    def problems(self, check: Check) -> list[Found]:
        return [Found(subject, what) for subject, found in self._problems[check].items() for what in found]
