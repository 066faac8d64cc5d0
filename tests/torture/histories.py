"""Histories of tenants as the topic has them: one partition, dense positions, time that does not go back."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

from domain.ledger import CommandHadNoEffect, CommandRefused, RefusalsSummarised
from tests.torture.topic import Line
from tests.torture.verdict import Verdict

PLACED = "a tenant's events are in the partition where it is placed"
DENSE = "a tenant's positions are dense and in order"
NTH = "for each tag, events are counted without a gap"
TIME = "time does not go back in a tenant"
IDS = "event ids are unique"
ONCE = "no command is recorded twice"
TOGETHER = "a command's events are of one commit, one after another"
KEY_ONCE = "no idempotency key acts twice"


class Done(NamedTuple):
    """A command as it was recorded."""

    tenant: str
    command: str
    correlation: str
    lines: Sequence[Line]

    @property
    def first(self) -> int:
        return self.lines[0].position

    @property
    def last(self) -> int:
        return self.lines[-1].position

    @property
    def refused(self) -> str | None:
        """As what it was refused, if so."""
        event = self.lines[-1].event
        return event.kind if isinstance(event, CommandRefused) else None

    @property
    def had_no_effect(self) -> bool:
        return isinstance(self.lines[-1].event, CommandHadNoEffect)

    @property
    def only_sums_up(self) -> bool:
        """A timer's: it counts refusals of before, in the name of the last of them."""
        return all(isinstance(each.event, RefusalsSummarised) for each in self.lines)


def placed_in(tenant: str, partitions: int) -> int:
    return int.from_bytes(sha256(tenant.encode()).digest()[:8], "big") % partitions


def check_histories(lines: Iterable[Line], partitions: int, verdict: Verdict) -> dict[str, list[Done]]:
    """Each tenant's commands in their order."""
    by_tenant: dict[str, list[Line]] = defaultdict(list)
    ids: set[str] = set()
    for line in lines:
        by_tenant[line.tenant].append(line)
        verdict.must(line.event_id not in ids, IDS, f"{line.tenant}:{line.position} has the id of another event")
        ids.add(line.event_id)
    return {tenant: _check_one(tenant, own, partitions, verdict) for tenant, own in by_tenant.items()}


def _check_one(tenant: str, lines: Sequence[Line], partitions: int, verdict: Verdict) -> list[Done]:
    counts: Counter[str] = Counter()
    position = instant = 0
    for line in lines:
        at = f"{tenant}:{line.position}"
        verdict.must(line.partition == placed_in(tenant, partitions), PLACED, f"{at} is in partition {line.partition}")
        verdict.must(line.position == position + 1, DENSE, f"{at} comes after {position}")
        verdict.must(line.instant >= instant, TIME, f"{at} is {instant - line.instant} µs earlier than the one before")
        position, instant = line.position, max(instant, line.instant)
        counts.update(line.tags)
        expected = [counts[tag] for tag in line.tags]
        wrong = [
            tag.partition(":")[0] for tag, n, is_so in zip(line.tags, expected, line.nth, strict=False) if n != is_so
        ]
        verdict.must(len(line.nth) == len(line.tags) and not wrong, NTH, f"{at}: {', '.join(wrong)}")
    return _commands(tenant, lines, verdict)


def _commands(tenant: str, lines: Sequence[Line], verdict: Verdict) -> list[Done]:
    found: list[Done] = []
    seen: set[str] = set()
    keys: dict[bytes, str] = {}
    for line in lines:
        if found and found[-1].command == line.command:
            before = found[-1].lines[-1]
            same = (before.mark and before.mark.id) == (line.mark and line.mark.id)
            verdict.must(
                same, TOGETHER, f"{tenant}:{line.position} is of another commit than its command's first event"
            )
            found[-1] = found[-1]._replace(lines=[*found[-1].lines, line])
            continue
        verdict.must(
            line.command not in seen, ONCE, f"{tenant}:{line.position} is of a command that was recorded before"
        )
        seen.add(line.command)
        if line.idempotency is not None:
            first = keys.setdefault(line.idempotency, line.command)
            verdict.must(first == line.command, KEY_ONCE, f"{tenant}:{line.position} has the key of another command")
        found.append(Done(tenant, line.command, line.correlation, [line]))
    return found
