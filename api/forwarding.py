"""Among several nodes: a request that changes something goes to the node that decides for its tenant, whole.

There it is authenticated, its values are sealed with keys that only that node makes, and it is decided: one hop, found
again if the tenant's partition moves meanwhile. What only reads is answered here, once this node has read everything
that any node had acknowledged by then.
"""

import asyncio
import hashlib
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.kafka.peers import PROOF, NoAnswer, Unreachable
from adapters.kafka.routed_ledger import DEADLINE, LOOK_AGAIN, wait_for_another
from api.http import problems
from api.http.json_body import MOST_BYTES
from api.internal import MOST_BYTES as MOST_BETWEEN_NODES
from api.kafka_side import KafkaSide
from api.pages.sessions import presented
from api.refusals import problem_of
from domain.access.secrets import Secret, read
from domain.ids import DEPLOYMENT, TenantId
from domain.ledger import NotReady

if TYPE_CHECKING:
    from api.wiring import Node

CLIENT: Final = "muniment-client"
"""From where the request came to the first node; under the proof."""
MOVED: Final = 421
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_TOLD_BY_WHO_DECIDES: Final = (
    *("/deliveries", "/progress", "/archive", "/archive/verify"),
    *("/file", "/manifest", "/proofs"),
)
"""What is known only where a tenant's webhooks are delivered, where it is archived, and where its exports are."""
_READ_BY_POST: Final = ("/verify", "/.search")
_TENANT: Final = re.compile(r"/(?:v1|console)/tenants/(ten_[0-9a-f]{32}|_deployment)(/.*)?")
_OF_ONE_HOP: Final = frozenset(
    {b"connection", b"content-length", b"transfer-encoding", b"keep-alive", b"proxy-connection", b"trailer"}
)
_OURS: Final = frozenset({b"x-request-id", PROOF.encode(), CLIENT.encode()})
_NOT_PASSED_ON: Final = _OF_ONE_HOP | _OURS | {b"host", b"te", b"upgrade", b"expect", b"accept-encoding"}
_NOT_PASSED_BACK: Final = _OF_ONE_HOP | {
    b"date",
    b"content-encoding",
    PROOF.encode(),
    b"x-request-id",
    b"x-content-type-options",
}
_HERE: Final = (
    "/v1/node",
    "/console/sign-",
    "/console/static/",
    "/livez",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/schema-registry",
)
_INTERNAL: Final = "/internal/"
UNKNOWN: Final = (
    "the node that decides for the tenant did not answer: send the request again with the same Idempotency-Key, "
    "or look before sending it again"
)


def tenant_of(scope: Scope, secret_of: TenantId | None) -> TenantId | None:
    """Whose node decides a request: the tenant's in its path, or else the key's; None for what is about this node."""
    path: str = scope["path"]
    if path.startswith(_HERE):
        return None
    match = _TENANT.fullmatch(path)
    if match is None:
        return secret_of
    reads = _reads(scope)
    # Names are unique in the deployment, so who decides for it changes what carries a name.
    return TenantId(match[1]) if match[2] or reads else DEPLOYMENT


class Forwarding:
    """ASGI middleware, inside the doorway."""

    def __init__(self, app: ASGIApp, node: "Node") -> None:
        self._app = app
        self._node = node

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        side = self._node.log
        if scope["type"] != "http" or not isinstance(side, KafkaSide):
            await self._app(scope, receive, send)
            return
        try:
            await self._route(side, scope, receive, send)
        except NotReady as problem:  # from here; the application answers its own
            raise problem_of(problem) from problem
        except ClientDisconnect:
            return

    async def _route(self, side: KafkaSide, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if PROOF in headers:
            await self._from_a_node(side, scope, headers, receive, send)
            return
        secret = self._secret(scope)
        tenant = tenant_of(scope, secret.tenant if secret else None)
        if tenant is None or scope["path"].startswith(_INTERNAL):
            await self._app(scope, receive, send)
            return
        reads = _reads(scope)
        if not reads and not side.decides(tenant):
            body = await _whole(receive, MOST_BYTES)
            response = await self._at_the_owner(side, tenant, scope, headers, body)
            if response is not None:
                await response(scope, receive, send)
                return
            receive = _again(body, receive)
        wanted = {tenant} if reads or not side.history.head(tenant)[0] else set()
        await self._reach(side, wanted, secret, tenant)
        await self._app(scope, receive, send)

    async def _from_a_node(self, side: KafkaSide, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        client, proofs = headers.get(CLIENT, ""), side.kafka.peers.proofs
        digest_of_body = proofs.body_of(headers[PROOF], side.address, scope["method"], _target(scope), client)
        body = b"" if digest_of_body is None else await _whole(receive, MOST_BETWEEN_NODES)
        if digest_of_body is None or hashlib.sha256(body).hexdigest() != digest_of_body:
            raise problems.forbidden("only nodes of this deployment prove themselves; leave the header out")
        scope["muniment.from_node"] = True
        send = _proving(send, proofs.answer(headers[PROOF]))
        if not scope["path"].startswith(_INTERNAL):
            scope["client"] = (client, 0)
            secret = self._secret(scope)
            tenant = tenant_of(scope, secret.tenant if secret else None)
            if tenant is not None and not side.decides(tenant):
                await Response(status_code=MOVED)(scope, receive, send)
                return
            await self._reach(side, set(), secret, tenant)
        await self._app(scope, _again(body, receive), send)

    async def _reach(
        self,
        side: KafkaSide,
        wanted: set[TenantId],
        secret: Secret | None,
        tenant: TenantId | None,
    ) -> None:
        """Read what was acknowledged of these tenants, and of the key's if it could have been revoked elsewhere."""
        if secret is not None:
            known = self._node.residents.known(secret.digest, self._node.clock())
            if known is None or secret.tenant != tenant:
                wanted.add(secret.tenant)
        await asyncio.gather(*(side.reach(each) for each in wanted))

    def _secret(self, scope: Scope) -> Secret | None:
        return read(presented(self._node.sessions, scope))

    async def _at_the_owner(
        self, side: KafkaSide, tenant: TenantId, scope: Scope, headers: Headers, body: bytes
    ) -> Response | None:
        """The owner's answer; None if this node has become the owner. Raises Problem 503."""
        owner, deadline = side.kafka.owner_of(tenant), time.monotonic() + DEADLINE
        client = scope["client"][0] if scope.get("client") else ""
        passed = [(name, value) for name, value in headers.raw if name.lower() not in _NOT_PASSED_ON]
        passed += [(CLIENT.encode(), client.encode()), (b"x-request-id", scope["state"]["correlation"].encode())]
        while not owner.is_ours:
            left = deadline - time.monotonic()
            address = owner.partition.owner.address
            if left <= 0:
                raise problems.unavailable("no node decides for the tenant now: try again in a moment")
            if address and address != side.address:
                try:
                    answer = await side.kafka.peers.ask(
                        address, scope["method"], _target(scope), body, max(1.0, left), passed, client
                    )
                except Unreachable:
                    pass
                except NoAnswer as problem:
                    raise problems.unavailable(UNKNOWN) from problem
                else:
                    if answer.status_code != MOVED:
                        return _passed_back(answer.status_code, answer.headers.raw, answer.content)
            await wait_for_another(owner.partition, owner, min(left, LOOK_AGAIN))
        return None


def _reads(scope: Scope) -> bool:
    """Whether a request changes nothing: some questions are asked by POST."""
    if scope["path"].endswith(_TOLD_BY_WHO_DECIDES):
        return False
    return scope["method"] in _READS or (scope["method"] == "POST" and scope["path"].endswith(_READ_BY_POST))


def _proving(send: Send, answer: str) -> Send:
    """Sends what is sent, with the proof that a node answers."""

    async def proved(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), (PROOF.encode(), answer.encode())]
        await send(message)

    return proved


def _passed_back(status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> Response:
    response = Response(body, status)
    kept = [(name.lower(), value) for name, value in headers if name.lower() not in _NOT_PASSED_BACK]
    response.raw_headers = [*kept, (b"content-length", str(len(body)).encode())] if status not in (204, 304) else kept
    return response


def _target(scope: Scope) -> str:
    path = (scope.get("raw_path") or quote(scope["path"]).encode()).decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


async def _whole(receive: Receive, most: int) -> bytes:
    """The request's body. Raises Problem 413 or ClientDisconnect."""
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect  # what was not asked to the end was not asked
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise problems.payload_too_large(most)
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was read already, then what comes after it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
