"""What the nodes say at the end, all healed, against the fold and the trees of what the topic holds."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from domain.event import Recorded
from domain.ids import TenantId
from domain.view import Rows, Versioned
from domain.view_hash import hash_of
from projections.every import EVERY_VIEW
from tests.torture.partitions import PartitionEnd
from tests.torture.topic import Line
from tests.torture.verdict import Verdict

HOLDS = "each node finds its histories and views as they must be"
VIEWS = "stored and resident views on each node are the fold of the topic"
TREES = "each node's trees are those of the topic"
LOGS = "each node's index is the topic, commit for commit"


class TenantSays(msgspec.Struct):
    """A node's answer to POST /v1/tenants/{tenant}/verify; `problem` where it gave none."""

    node: int
    tenant: str
    holds: bool = False
    size: int = 0
    root: str = ""
    hashes: dict[str, dict[str, str]] = {}
    """By place (stored, resident) and view."""
    problem: str = ""


class LogSays(msgspec.Struct):
    """A node's answer to POST /v1/node/verify."""

    node: int
    holds: bool = False
    sequence: int = 0
    chain: str = ""
    problem: str = ""


def check_nodes(
    tenants: Sequence[TenantSays],
    logs: Sequence[LogSays],
    lines: Mapping[str, Sequence[Line]],
    ends: Sequence[PartitionEnd],
    verdict: Verdict,
) -> None:
    folds = {tenant: _hashes(tenant, own) for tenant, own in lines.items()}
    roots = {tenant: root_of([each.stored for each in own]).hex() for tenant, own in lines.items()}
    for says in tenants:
        who = f"{says.tenant} at node {says.node}"
        verdict.must(says.holds, HOLDS, f"{who}: {says.problem or 'it says that something differs'}")
        if not says.hashes:
            continue
        history = lines.get(says.tenant, ())
        same = (says.size, says.root) == (len(history), roots.get(says.tenant))
        verdict.must(same, TREES, f"{who}: {says.size} events, or other ones; the topic has {len(history)}")
        for place, hashes in says.hashes.items():
            for view, found in hashes.items():
                expected = folds.get(says.tenant, {}).get(view)
                verdict.must(found == expected, VIEWS, f"{who}: {view}, {place}")
    sequence = sum(each.sequence for each in ends)
    chain = hashlib.sha256(b"".join(each.chain for each in ends)).hexdigest()
    for log in logs:
        verdict.must(log.holds, HOLDS, f"the log at node {log.node}: {log.problem}")
        if log.chain:
            same = (log.sequence, log.chain) == (sequence, chain)
            verdict.must(same, LOGS, f"node {log.node} has {log.sequence} events, the topic {sequence}; or other ones")


def _hashes(tenant: str, lines: Iterable[Line]) -> dict[str, str]:
    rows = Rows(EVERY_VIEW)
    for line in lines:
        rows.evolve(Recorded(TenantId(tenant), line.position, line.instant, line.event))
    return {
        view.name: hash_of(
            Versioned(key, rows.since[view.name][key], row) for key, row in rows.rows[view.name].items()
        ).hex()
        for view in EVERY_VIEW
    }


def root_of(entries: Sequence[bytes]) -> bytes:
    """RFC 6962 §2.1, as it is written there."""
    if not entries:
        return hashlib.sha256().digest()
    return _root([hashlib.sha256(b"\0" + each).digest() for each in entries])


def _root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + _root(leaves[:half]) + _root(leaves[half:])).digest()
