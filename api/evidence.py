"""Evidence over REST: that histories and views are what they must be, and views that are built anew."""

import asyncio
from typing import Annotated, Any, Literal

from api.acting import Reading, resident
from api.bodies import Answer, router, time_text
from api.checking import compare
from api.findings import CHECKS, Findings
from api.http import problems
from api.node import MayManageNode, MaySeeNode
from api.permitted import may_read
from domain.event import Instant
from replay.verify import CopiedRows, Verified

MayVerify = Annotated[Reading, may_read("replay:read", stored=False)]

routes = router("replay")


class HistoryVerified(Answer):
    """`root` is the RFC 6962 root over the stored bytes of the history up to `size`, computed now."""

    size: int
    root: str
    holds: bool
    problem: str | None


class Difference(Answer):
    """`key` is null where it is about the view as a whole."""

    view: str
    key: str | None
    what: str


class PlaceVerified(Answer):
    """`hashes` are those of each view as the history folds to it, which the kept rows must have too."""

    place: Literal["stored", "resident"]
    position: int
    hashes: dict[str, str]
    differences: list[Difference]


class TenantVerified(Answer):
    tenant: str
    position: int
    holds: bool
    history: HistoryVerified
    places: list[PlaceVerified]


@routes.post("/tenants/{tenant}/verify")
async def verify_tenant(reading: MayVerify) -> TenantVerified:
    """Fold the history again and compare stored and resident rows with it; compute the tree of its bytes again."""
    node, tenant = reading.node, reading.tenant
    if node.verifying.locked():
        raise problems.too_many_requests(5, "a tenant is being verified on this node; ask again in a moment")
    async with node.verifying:
        tree = await asyncio.to_thread(node.evidence.tree, tenant)
        problem = await asyncio.to_thread(node.checkpoints.check_tenant, tenant) or tree.problem
        try:
            found = await _compared(reading)
        except Exception:
            if problem is None:
                raise
            found = []  # a history that is not what it was may not even be folded
    history = HistoryVerified(size=tree.size, root=tree.root.hex(), holds=problem is None, problem=problem)
    return TenantVerified(
        tenant=tenant,
        position=reading.at.position,
        holds=history.holds and not any(each.differences for each in found),
        history=history,
        places=[_place_body(each) for each in found],
    )


async def _compared(reading: Reading) -> list[Verified]:
    """Stored and resident rows against the history folded again."""
    node, tenant = reading.node, reading.tenant
    await node.views.reach(tenant, node.feed.head(tenant))
    in_memory = resident(node, tenant)
    return await asyncio.to_thread(compare, node, tenant, CopiedRows(in_memory.rows, in_memory.position))


def _place_body(verified: Verified) -> PlaceVerified:
    return PlaceVerified.model_validate(
        {
            "place": verified.place,
            "position": verified.position,
            "hashes": {view: hash.hex() for view, hash in verified.hashes.items()},
            "differences": [Difference(view=each.view, key=each.key, what=each.what) for each in verified.differences],
        }
    )


class LogVerified(Answer):
    """`chain` hashes all events up to `sequence`; `problem` says what is not as it was committed."""

    holds: bool
    sequence: int
    chain: str | None
    problem: str | None


@routes.post("/node/verify")
async def verify_log(caller: MayManageNode) -> LogVerified:
    """Compute the chain over the whole log again, and compare it with the commits and the tail file.

    Then each checkpoint of the deployment's log: its leaves, its root and its signatures.
    """
    try:
        end = await asyncio.to_thread(caller.node.evidence.check)
    except caller.node.evidence.failures as problem:
        sequence = sum(caller.node.log.sequences.values())
        return LogVerified(holds=False, sequence=sequence, chain=None, problem=str(problem))
    wrong = await asyncio.to_thread(caller.node.checkpoints.check_log)
    return LogVerified(holds=wrong is None, sequence=end.sequence, chain=end.chain.hex(), problem=wrong)


class ProblemFound(Answer):
    """What is wrong, and with what: a tenant, or a part of the log."""

    subject: str
    what: str


class CheckMade(Answer):
    """One of the checks that never end, since the node started; `last` is null before it was made once."""

    check: Literal["views", "index", "archive", "checkpoints"]
    says: str
    looks: int
    last: str | None
    problems: list[ProblemFound]


class SelfAudit(Answer):
    """`holds`: nothing is known to be wrong."""

    holds: bool
    checks: list[CheckMade]


@routes.get("/node/audit")
async def read_audit(reading: MaySeeNode) -> SelfAudit:
    """What the node finds when it compares, all the time, what it keeps with what was recorded."""
    return audit_body(reading.node.findings)


def audit_body(findings: Findings) -> SelfAudit:
    checks = [
        CheckMade(
            check=check,
            says=says,
            looks=findings.looks(check),
            last=None if (last := findings.last(check)) is None else time_text(Instant(int(last * 1e6))),
            problems=[ProblemFound(subject=each.subject, what=each.what) for each in findings.problems(check)],
        )
        for check, says in CHECKS.items()
    ]
    return SelfAudit(holds=not any(each.problems for each in checks), checks=checks)


class Rebuild(Answer):
    """`step` is applied (events) or compared (tenants): `done` of `total`."""

    state: Literal["running", "done", "failed"]
    step: str
    done: int
    total: int
    problem: str | None


def _rebuild_body(progress: Any) -> Rebuild:
    return Rebuild(
        state=progress.state, step=progress.step, done=progress.done, total=progress.total, problem=progress.problem
    )


@routes.post("/node/rebuild", status_code=202)
async def rebuild_views(caller: MayManageNode) -> Rebuild:
    """Begin to build the stored views anew beside the live ones; they are swapped once they equal the history."""
    return _rebuild_body(caller.node.stored.begin_rebuild())


@routes.get("/node/rebuild")
async def read_rebuild(reading: MaySeeNode) -> Rebuild:
    """How far the last rebuild is."""
    progress = reading.node.stored.rebuilding
    if progress is None:
        raise problems.not_found("no rebuild was begun since the node started: POST to begin one")
    return _rebuild_body(progress)
