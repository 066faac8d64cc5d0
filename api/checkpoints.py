"""Checkpoints over REST: the keys that sign them, the witnesses that cosign them, and the deployment's log."""

from typing import Annotated, Any, Final

from fastapi import Path, Response
from pydantic import Field

from api.acting import Acting, Reading
from api.bodies import Answer, Body, Changed, changed, router, time_text, time_text_if
from api.checkpointing import public_key
from api.http import problems
from api.permitted import TheNode, may_in_deployment, may_read_deployment
from domain.event import Code, Instant
from domain.evidence.keys import LONGEST_OVERLAP, CheckpointKey, RetireCheckpointKey
from domain.evidence.notes import COSIGNATURE, NoteWrong, parse_key
from domain.evidence.tiles import NoSuchTile, Tile, parse_tile
from domain.evidence.witnesses import AddWitness, RemoveWitness
from domain.ids import CheckpointKeyId, WitnessId
from domain.ledger import NewKeys

MayManageCheckpoints = Annotated[Acting, may_in_deployment("node:manage")]
MaySeeCheckpoints = Annotated[Reading, may_read_deployment("node:manage")]

TilePath = Annotated[str, Path(max_length=64, examples=["0/000.p/1"])]
KeyInPath = Annotated[CheckpointKeyId, Path(pattern=r"^cpk_[0-9a-f]{32}$")]
WitnessInPath = Annotated[WitnessId, Path(pattern=r"^wit_[0-9a-f]{32}$")]

_FOR_EVER: Final = "max-age=31536000, immutable"
_NOTE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The signed note.", "content": {"text/plain": {"schema": {"type": "string"}}}}
}
TILE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The hashes, or the entries.", "content": {"application/octet-stream": {}}}
}
routes = router("evidence")


class SigningKey(Answer):
    """`vkey` is what verifiers are given. A key that signs no more still verifies what it signed."""

    id: str
    vkey: str
    added_at: str
    signs_until: str | None


class TrustedWitness(Answer):
    id: str
    vkey: str


class EvidenceKeys(Answer):
    """`origin` is the name of the deployment's log as it goes on."""

    origin: str | None
    keys: list[SigningKey]
    witnesses: list[TrustedWitness]


def _key_body(key: CheckpointKey) -> SigningKey:
    return SigningKey(
        id=key.key,
        vkey=public_key(key).text,
        added_at=time_text(key.added_at),
        signs_until=time_text_if(key.signs_until),
    )


@routes.get("/evidence/keys")
async def list_evidence_keys(node: TheNode) -> EvidenceKeys:
    """Public: with which keys checkpoints are signed and cosigned. Whoever verifies keeps them elsewhere."""
    witnesses = [
        TrustedWitness(id=each.witness, vkey=each.vkey)
        for each in node.checkpoints.witnessing.witnesses()
        if each.active
    ]
    keys = [_key_body(each) for each in node.checkpoints.known_keys()]
    return EvidenceKeys(origin=node.checkpoints.origin, keys=keys, witnesses=witnesses)


class KeyRotation(Body):
    overlap_seconds: int = Field(
        7 * 86_400, ge=0, le=LONGEST_OVERLAP // 1_000_000, description="How long the keys before sign too."
    )


class RotatedKey(Answer):
    id: str
    vkey: str
    position: int


@routes.post("/evidence/keys/rotate")
async def rotate_evidence_key(body: KeyRotation, caller: MayManageCheckpoints) -> RotatedKey:
    """A new key that signs checkpoints; those before it sign too until the overlap is over."""
    checkpoints = caller.node.checkpoints
    if checkpoints.origin is None:
        raise problems.unavailable("the deployment's log is not written yet; ask again in a moment", 5)

    async def execute(command: Any, keys: NewKeys) -> Any:
        caller.keys = keys
        return await caller.execute(command)

    until = Instant(caller.node.clock() + body.overlap_seconds * 1_000_000)
    _, outcome = await checkpoints.rotate(checkpoints.origin, until, execute)
    made = outcome.events[0].key  # type: ignore[attr-defined]
    found = next(each for each in checkpoints.known_keys() if each.key == made)
    return RotatedKey(id=made, vkey=public_key(found).text, position=outcome.position)


@routes.post("/evidence/keys/{checkpoint_key}/retire")
async def retire_evidence_key(checkpoint_key: KeyInPath, caller: MayManageCheckpoints) -> Changed:
    """The key signs nothing from now on. What it has signed can be verified as before."""
    return changed(await caller.execute(RetireCheckpointKey(checkpoint_key, Instant(caller.node.clock()))))


class NewWitness(Body):
    url: str = Field(max_length=1_000, description="Its submission prefix: /add-checkpoint is put behind it.")
    vkey: str = Field(max_length=500, description="The key that it cosigns with: name+id+key.")


class WitnessStanding(Answer):
    """`checkpoint` is the last that it cosigned, as far as this node knows; `problem` is why not a newer one."""

    id: str
    url: str
    vkey: str
    checkpoint: int | None
    problem: str | None


class WitnessMade(Answer):
    id: str
    position: int


class Witnesses(Answer):
    items: list[WitnessStanding]


@routes.get("/evidence/witnesses")
async def list_witnesses(reading: MaySeeCheckpoints) -> Witnesses:
    witnessing = reading.node.checkpoints.witnessing
    items = []
    for each in witnessing.witnesses():
        if each.active:
            standing = witnessing.standing.get(each.witness)
            items.append(
                WitnessStanding(
                    id=each.witness,
                    url=each.url,
                    vkey=each.vkey,
                    checkpoint=(standing.checkpoint or None) if standing else None,
                    problem=standing.problem if standing else None,
                )
            )
    return Witnesses(items=items)


@routes.post("/evidence/witnesses", status_code=201)
async def add_witness(body: NewWitness, caller: MayManageCheckpoints) -> WitnessMade:
    """Ask somebody else to cosign each checkpoint, who must know the log's origin and keys first. C2SP tlog-witness."""
    witnessing = caller.node.checkpoints.witnessing
    if because := witnessing.objection(body.url):
        raise problems.unprocessable(because)
    try:
        key = parse_key(body.vkey)
    except NoteWrong as problem:
        raise problems.unprocessable(str(problem)) from problem
    if key.kind != COSIGNATURE:
        raise problems.unprocessable("a witness cosigns with a key of kind 4 (Ed25519 cosignature/v1); send that one")
    command = AddWitness(WitnessId(caller.new_id("wit")), Code(body.url), Code(body.vkey))
    outcome = await caller.execute(command)
    witnessing.wake()
    return WitnessMade(id=outcome.events[0].witness, position=outcome.position)  # type: ignore[attr-defined]


@routes.delete("/evidence/witnesses/{witness}")
async def remove_witness(witness: WitnessInPath, caller: MayManageCheckpoints) -> Changed:
    """It is asked no more; its cosignatures stay."""
    return changed(await caller.execute(RemoveWitness(witness)))


class CheckpointMade(Answer):
    """`made` is false if nothing had changed, and then this is the last one. `wrong` tells of histories left out."""

    made: bool
    number: int | None
    size: int
    root: str | None
    made_at: str | None
    note: str | None
    tenants: int
    wrong: dict[str, str]


@routes.post("/evidence/checkpoint")
async def make_checkpoint(caller: MayManageCheckpoints) -> CheckpointMade:
    """A checkpoint now, over everything recorded so far; witnesses are asked right after."""
    checkpoints = caller.node.checkpoints
    made = await checkpoints.make(again=True)
    last = made.checkpoint or checkpoints.log.book.last()
    return CheckpointMade(
        made=made.checkpoint is not None,
        number=last.number if last else None,
        size=last.size if last else 0,
        root=last.root.hex() if last else None,
        made_at=time_text(last.instant) if last else None,
        note=last.note if last else None,
        tenants=len(made.sizes),
        wrong=made.wrong,
    )


@routes.get("/evidence/log/checkpoint", response_class=Response, responses=_NOTE)
async def read_log_checkpoint(node: TheNode) -> Response:
    """Public: the deployment's newest checkpoint, a signed note. C2SP tlog-tiles."""
    last = node.checkpoints.log.book.last()
    if last is None:
        raise problems.not_found("no checkpoint was made yet")
    return Response(last.note, media_type="text/plain", headers={"Cache-Control": "public, max-age=2"})


@routes.get("/evidence/log/tile/{tile:path}", response_class=Response, responses=TILE)
async def read_log_tile(tile: TilePath, node: TheNode) -> Response:
    """Public: hashes of the deployment's log, or its entries, which say nothing of tenants. C2SP tlog-tiles."""
    wanted, last = tile_at(tile), node.checkpoints.log.book.last()
    size = 0 if last is None else last.size
    found = await node.checkpoints.ask(lambda proving: proving.log_tile(wanted, size))
    return tile_answer(found, "public")


def tile_at(path: str) -> Tile:
    """Raises Problem 404."""
    try:
        return parse_tile(path)
    except NoSuchTile as problem:
        raise problems.not_found(str(problem)) from problem


def tile_answer(found: bytes | None, who: str) -> Response:
    if found is None:
        raise problems.not_found("the tree has no such tile at its last checkpoint")
    headers = {"Cache-Control": f"{who}, {_FOR_EVER}"}
    return Response(found, media_type="application/octet-stream", headers=headers)
