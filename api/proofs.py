"""Proofs over REST: a tenant's tree, its place in the deployment's log, and bundles that are checked offline."""

import base64
from typing import Annotated, Any, Final

from fastapi import Query, Response
from pydantic import Field

from api.acting import Reading
from api.bodies import Answer, Time, instant_of, router
from api.checkpoints import TILE, TilePath, tile_answer, tile_at
from api.http import problems
from api.permitted import may_read
from api.trail_access import told
from domain.event import Instant
from domain.evidence.bundles import MEDIA_TYPE as BUNDLE
from domain.evidence.bundles import SUFFIX
from domain.evidence.completeness import Range
from domain.ids import TenantId

MayReadEvidence = Annotated[Reading, may_read("audit:read", stored=False)]

_MOST: Final = (1 << 62) - 1
MOST_POSITIONS: Final = 500
MOST_IN_BUNDLE: Final = 5_000
Position = Annotated[int, Query(ge=1, le=_MOST)]
_BUNDLE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The bundle, as a file.", "content": {BUNDLE: {"schema": {"type": "object"}}}}
}

routes = router("evidence")


class TenantCheckpoint(Answer):
    """The tenant's head: it is leaf `leaf` (from 0) of the log that `checkpoint` is signed for.

    The leaf's entry is SHA-256 over the label muniment/head/v1 and tenant, size, root, counts and blind, each after
    its length in four bytes. `blind` is what keeps the leaf from telling others anything.
    """

    tenant: str
    size: int
    root: str
    counts: str
    blind: str
    leaf: int
    proof: list[str]
    checkpoint: str


@routes.get("/tenants/{tenant}/evidence/checkpoint")
async def read_tenant_checkpoint(reading: MayReadEvidence) -> TenantCheckpoint:
    """What the newest checkpoint commits to of this tenant, and the way there. Hashes are in base64."""
    committed = await reading.node.checkpoints.ask(lambda proving: proving.committed(reading.tenant))
    head = committed.placed.head
    return TenantCheckpoint(
        tenant=head.tenant,
        size=head.size,
        root=_told(head.root),
        counts=_told(head.counts),
        blind=_told(head.blind),
        leaf=committed.placed.leaf,
        proof=[_told(each) for each in committed.proof],
        checkpoint=committed.checkpoint.note,
    )


class InclusionProof(Answer):
    """That the event at a position is leaf `position - 1` of the tenant's tree of `size` leaves. RFC 9162 §2.1.3."""

    position: int
    size: int
    root: str
    leaf: str
    proof: list[str]


@routes.get("/tenants/{tenant}/evidence/inclusion")
async def prove_inclusion(
    position: Position,
    reading: MayReadEvidence,
    size: Annotated[int | None, Query(ge=1, le=_MOST, description="Of the tree; the last head's, if left out.")] = None,
) -> InclusionProof:
    """Hashes are in base64. `root` is the tenant's own: see its checkpoint for what commits to it."""
    wanted = size or max(position, _size_of(reading))
    _must_have(reading, wanted)
    if position > wanted:
        raise problems.unprocessable("the position is beyond the size: leave the size out, or send a larger one")
    found = await reading.node.checkpoints.ask(lambda proving: proving.inclusion(reading.tenant, position, wanted))
    return InclusionProof(
        position=position,
        size=wanted,
        root=_told(found.root),
        leaf=_told(found.leaf),
        proof=[_told(each) for each in found.proof],
    )


class ConsistencyProof(Answer):
    """That the tree of `to` leaves begins with that of `from` leaves. RFC 9162 §2.1.4."""

    from_: int = Field(serialization_alias="from")
    from_root: str
    to: int
    to_root: str
    proof: list[str]


@routes.get("/tenants/{tenant}/evidence/consistency")
async def prove_consistency(
    from_: Annotated[int, Query(alias="from", ge=0, le=_MOST)],
    reading: MayReadEvidence,
    to: Annotated[int | None, Query(ge=0, le=_MOST, description="The last head's size, if left out.")] = None,
) -> ConsistencyProof:
    """Hashes are in base64."""
    new = max(from_, _size_of(reading)) if to is None else to
    _must_have(reading, new)
    if from_ > new:
        raise problems.unprocessable("the older tree can't be the larger one: send from and to the other way round")
    found = await reading.node.checkpoints.ask(lambda proving: proving.consistency(reading.tenant, from_, new))
    return ConsistencyProof(
        from_=from_,
        from_root=_told(found.old_root),
        to=new,
        to_root=_told(found.root),
        proof=[_told(each) for each in found.proof],
    )


@routes.get("/tenants/{tenant}/evidence/tile/{tile:path}", response_class=Response, responses=TILE)
async def read_tenant_tile(tile: TilePath, reading: MayReadEvidence) -> Response:
    """Hashes of the tenant's tree up to its last head, or the stored bytes of its events. C2SP tlog-tiles."""
    wanted, size = tile_at(tile), _size_of(reading)
    found = await reading.node.checkpoints.ask(lambda proving: proving.tile(reading.tenant, wanted, size))
    if found is not None and wanted.level is None:
        positions = [each + 1 for each in wanted.places()]
        await reading.node.accesses.note(reading, "tile", f"tile={wanted.path}", told(positions))
    return tile_answer(found, "private")


@routes.get("/tenants/{tenant}/evidence/bundle", response_class=Response, responses=_BUNDLE)
async def make_bundle(
    reading: MayReadEvidence,
    position: Annotated[
        list[Position] | None, Query(max_length=MOST_POSITIONS, description="Of an event; several times for several.")
    ] = None,
    tag: Annotated[
        str | None,
        Query(
            min_length=3, max_length=1_000, pattern=r"^[a-z_]+:.+$", description="All events with a tag, provably all."
        ),
    ] = None,
    from_: Annotated[int | None, Query(alias="from", ge=1, le=_MOST, description="From this position on.")] = None,
    to: Annotated[int | None, Query(ge=1, le=_MOST, description="Up to this position.")] = None,
    since: Annotated[Time | None, Query(description="With a tag: from this time on, instead of a position.")] = None,
    until: Annotated[Time | None, Query(description="With a tag: up to this time, which is within.")] = None,
) -> Response:
    """One file by which events can be checked offline, with the log's public key alone: `muniment verify --bundle`.

    Either events by their positions (some, or all in a range), or all with a tag in a range, with what shows that none
    is left out.
    """
    checkpoints, tenant = reading.node.checkpoints, reading.tenant
    if tag is not None and position is None:
        wanted = _range(reading, from_, to, since, until)
        made, positions = await checkpoints.ask(lambda proving: proving.answer(tenant, tag, wanted))
        name, question = f"{tenant}-tag", f"tag={tag}"
    else:
        if tag is not None or since is not None or until is not None:
            raise problems.unprocessable("send a tag with a range, or else positions alone")
        positions = _positions(reading, position, from_, to)
        made = await checkpoints.ask(lambda proving: proving.bundle(tenant, positions))
        name, question = f"{tenant}-{min(positions)}-{max(positions)}", f"positions={min(positions)}-{max(positions)}"
    await reading.node.accesses.note(reading, "bundle", question, told(positions))
    headers = {"Content-Disposition": f'attachment; filename="{name}{SUFFIX}"', "Cache-Control": "no-store"}
    return Response(made, media_type=BUNDLE, headers=headers)


def _positions(reading: Reading, asked: list[int] | None, first: int | None, last: int | None) -> list[int]:
    """Raises Problem 404 or 422."""
    if asked:
        if first is not None or last is not None:
            raise problems.unprocessable("send positions or a range of them, and not both")
        _must_have(reading, max(asked))
        return asked
    if first is None and last is None:
        raise problems.unprocessable("say which events: position, or from and to, or a tag")
    first, last = first or 1, last or _size_of(reading)
    _must_have(reading, last)
    if not 0 <= last - first < MOST_IN_BUNDLE:
        raise problems.unprocessable(f"send from and to with at most {MOST_IN_BUNDLE} events between them")
    return list(range(first, last + 1))


def _range(reading: Reading, first: int | None, last: int | None, since: Any, until: Any) -> Range:
    """Raises Problem 409 or 422."""
    size = _size_of(reading)
    if since is None and until is None:
        wanted = Range("position", first or 1, last or size)
        _must_have(reading, wanted.last)
    elif first is None and last is None:
        end = instant_of(until) if until is not None else Instant(reading.node.clock())
        wanted = Range("recorded_at", 0 if since is None else instant_of(since), end)
    else:
        raise problems.unprocessable("send positions or times, and not both")
    if not size:
        raise problems.conflict("no checkpoint covers the tenant's history yet; ask again once one is made")
    if wanted.first > wanted.last:
        raise problems.unprocessable("the range ends before it begins; send it the other way round")
    return wanted


def _size_of(reading: Reading) -> int:
    """How many events the tenant's last head has."""
    placed = reading.node.checkpoints.log.book.head(reading.tenant)
    return 0 if placed is None else int(placed.head.size)


def _must_have(reading: Reading, size: int) -> None:
    head = reading.node.feed.head(TenantId(reading.tenant))
    if size > head:
        raise problems.not_found(f"the tenant's history ends at position {head}")


def _told(hashed: bytes) -> str:
    return base64.b64encode(hashed).decode()
