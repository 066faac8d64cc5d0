"""What a checker came to: how often each thing was looked at, and where it did not hold."""

from collections import Counter
from typing import Final

import msgspec

MOST_SHOWN: Final = 20
"""Of one check."""


class Violation(msgspec.Struct, frozen=True):
    """Something promised that did not hold."""

    check: str
    what: str


class Verdict:
    """Collects; `clean` once all checks are through is the result."""

    def __init__(self) -> None:
        self.looked: Counter[str] = Counter()
        self.violations: list[Violation] = []

    @property
    def clean(self) -> bool:
        return not self.violations

    def see(self, check: str, times: int = 1) -> None:
        """Looked at, so many times."""
        self.looked[check] += times

    def wrong(self, check: str, what: str) -> None:
        self.violations.append(Violation(check, what))

    def must(self, holds: bool, check: str, what: str) -> bool:
        """Looked at once; wrong unless it holds."""
        self.looked[check] += 1
        if not holds:
            self.wrong(check, what)
        return holds

    @property
    def failed(self) -> Counter[str]:
        """How often each check did not hold."""
        return Counter(each.check for each in self.violations)

    def text(self) -> str:
        """Every check and how often it was looked at, then the first violations of each."""
        failed = self.failed
        lines = [
            f"{'FAILED' if failed[check] else 'holds'}: {check} ({self.looked[check]})"
            for check in sorted({*self.looked, *failed})
        ]
        for check in sorted(failed):
            shown = [each for each in self.violations if each.check == check]
            lines += [f"  {check}: {each.what}" for each in shown[:MOST_SHOWN]]
            if len(shown) > MOST_SHOWN:
                lines.append(f"  {check}: {len(shown) - MOST_SHOWN} more")
        return "\n".join(lines)
