"""The checker: proves from the topic, and from what clients noted, that everything promised has held."""

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from tests.torture.answers import check_answers
from tests.torture.histories import check_histories
from tests.torture.names import check_names
from tests.torture.nodes import LogSays, TenantSays, check_nodes
from tests.torture.noted import Notes, Read
from tests.torture.partitions import check_keyring, check_partitions
from tests.torture.replayed import Replayed
from tests.torture.topic import Line, Raw, Taken, decode
from tests.torture.verdict import Verdict


class Evidence(msgspec.Struct):
    """All that a run leaves behind to be judged."""

    partitions: int
    notes: Notes
    ledger: list[Raw]
    keyring: list[Raw]
    tenants: list[TenantSays] = []
    logs: list[LogSays] = []

    @property
    def events(self) -> int:
        return sum(isinstance(each, Line) for each in decode(self.ledger))

    @property
    def takeovers(self) -> int:
        return sum(isinstance(each, Taken) for each in decode(self.ledger))


def check(evidence: Evidence) -> Verdict:
    """Everything. Takes about a second for a thousand events."""
    verdict, notes = Verdict(), evidence.notes
    found = decode(evidence.ledger)
    lines = [each for each in found if isinstance(each, Line)]
    ends = check_partitions(found, evidence.partitions, verdict)
    check_keyring(lines, evidence.keyring, verdict)
    histories = check_histories(lines, evidence.partitions, verdict)
    check_names(notes.founded, histories, verdict)
    answers = check_answers(notes, histories, verdict)
    reads: dict[str, list[Read]] = defaultdict(list)
    for read in notes.reads:
        reads[read.tenant].append(read)
    for tenant in notes.tenants:
        replayed = Replayed(tenant, answers, verdict)
        replayed.run(histories.get(tenant, ()), answers.claims.get(tenant, ()), reads.get(tenant, ()))
    check_nodes(evidence.tenants, evidence.logs, _by_tenant(lines), ends, verdict)
    return verdict


def _by_tenant(lines: Sequence[Line]) -> dict[str, list[Line]]:
    grouped: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        grouped[line.tenant].append(line)
    return grouped
