"""What nodes ask of each other: to decide a command, and to leave nothing behind of what was erased."""

from typing import TYPE_CHECKING, Final

from fastapi import Request, Response

from adapters.kafka.messages import NotUnderstood, decode_asked, encode_outcome, encode_problem
from adapters.kafka.owner import Moved
from api.http import problems
from api.http.json_body import JsonRouter, at_most
from api.kafka_side import WIPE, KafkaSide
from domain.command import NotPermitted
from domain.ids import TenantId
from domain.ledger import NotReady, Outcome

if TYPE_CHECKING:
    from adapters.kafka.messages import Asked
    from api.wiring import Node

MOST_BYTES: Final = 16 * 1024 * 1024
routes = JsonRouter(include_in_schema=False)


def _side_of(request: Request) -> KafkaSide:
    """Raises Problem 404 unless a node asks: Forwarding has looked at its proof."""
    node: Node = request.app.state.node
    if not request.scope.get("muniment.from_node") or not isinstance(node.log, KafkaSide):
        raise problems.not_found()
    return node.log


@routes.post("/internal/execute")
@at_most(MOST_BYTES)
async def execute(request: Request) -> Response:
    """Decide a command here, if this node owns its tenant's partition."""
    side = _side_of(request)
    try:
        answer = encode_outcome(await _decided(side, decode_asked(await request.body())))
    except NotUnderstood as problem:
        raise problems.bad_request(str(problem)) from problem
    except Exception as problem:
        told = encode_problem(problem)
        if told is None:
            raise
        answer = told
    return Response(answer, media_type="application/msgpack")


async def _decided(side: KafkaSide, asked: "Asked") -> Outcome:
    by = asked.by
    if not side.decides(by.tenant):
        raise Moved
    if asked.keys is not None and not side.kafka.keyrings.adopt(by.tenant, asked.keys):
        await side.record_own_keys(by.tenant)
        raise NotReady("the tenant's keys were made on two nodes at once: send the command again")
    ledger = side.kafka.ledger.local
    if asked.command is None:
        await ledger.refuse(asked.name, by, asked.refusal or "", keys=asked.keys)
        raise NotPermitted(asked.refusal or "")
    return await ledger.execute(asked.command, by, expects=asked.expects, keys=asked.keys)


@routes.post(WIPE)
async def wipe(request: Request) -> Response:
    """Return once no copy of what was erased is left on this node."""
    side = _side_of(request)
    tenant, _, position = (await request.body()).decode("ascii", "replace").partition(" ")
    if not position.isdigit() or len(position) > 18:
        raise problems.bad_request("a tenant and a position are asked for")
    node: Node = request.app.state.node
    if not await side.wipe_here(TenantId(tenant), int(position)):
        raise problems.unavailable("this node has not read as far yet, or readers are in the way")
    for drop in node.on_erasure:
        drop(node.keyring.epoch)
    return Response(status_code=204)
