"""What those who run a node ask of it: whether it lives, whether it is ready, and its numbers."""

from typing import Literal

from fastapi import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.bodies import Answer
from api.http import problems
from api.http.json_body import JsonRouter
from api.permitted import TheNode

routes = JsonRouter(tags=["operations"])


class Alive(Answer):
    status: Literal["alive"] = "alive"


class Ready(Answer):
    """`read_only_as_of` is the moment that a read-only node shows; null on a node of now."""

    status: Literal["ready"] = "ready"
    stored_views: Literal["current", "behind", "unavailable"]
    read_only_as_of: str | None = None


@routes.get("/livez")
async def is_alive() -> Alive:
    return Alive()


@routes.get("/readyz", responses=problems.responses(problems.UNAVAILABLE))
async def is_ready(node: TheNode) -> Ready:
    """Ready means that commands are accepted; stored views may be away, writes and checks go on without them."""
    if node.log.not_ready:
        raise problems.unavailable(node.log.not_ready, 5)
    if node.stopping.is_set():
        raise problems.unavailable("the node is stopping", 5)
    return Ready(stored_views=node.stored.state, read_only_as_of=node.as_of)


@routes.get("/metrics", response_class=Response)
async def metrics(node: TheNode) -> Response:
    return Response(generate_latest(node.metrics), media_type=CONTENT_TYPE_LATEST)
