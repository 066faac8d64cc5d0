"""The end of a run: everything healed, everything read, and what each node says of itself."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import httpx

from tests.torture.cluster import Deployment, Node
from tests.torture.nodes import LogSays, TenantSays

LOOK: Final = 0.5
ASKED_FOR: Final = 60.0
"""Seconds that a verification may take."""


class Unready(Exception):
    """A node did not come to rest; the message says what it said last."""


def let_rest(nodes: Iterable[Node], patience: float) -> dict[int, str]:
    """Wait until every node is ready and its views are current; by node, why that did not come."""
    problems: dict[int, str] = {}
    for node in nodes:
        try:
            _until(lambda node=node: _is_at_rest(node), patience)  # type: ignore[misc]
        except Unready as problem:
            problems[node.number] = str(problem)
    return problems


def _is_at_rest(node: Node) -> str | None:
    """None once it is."""
    answer = _ask(node, "GET", "/readyz")
    if answer is None:
        return "it does not answer"
    if answer.status_code != 200:
        return str(answer.json().get("detail"))
    state = answer.json()["stored_views"]
    return None if state == "current" else f"its stored views are {state}"


def _until(problem: Callable[[], str | None], patience: float) -> None:
    deadline = time.monotonic() + patience
    while (why := problem()) is not None:
        if time.monotonic() > deadline:
            raise Unready(why)
        time.sleep(LOOK)


def what_they_say(
    deployment: Deployment, tenants: Sequence[str], problems: dict[int, str], patience: float
) -> tuple[list[TenantSays], list[LogSays]]:
    """Each node of each tenant, and of its log."""
    says, logs = [], []
    for node in deployment.nodes:
        if node.number in problems:
            logs.append(LogSays(node.number, problem=problems[node.number]))
            continue
        for tenant in tenants:
            body = _verified(node, deployment.operator_key, f"/v1/tenants/{tenant}/verify", patience)
            says.append(_tenant_says(node.number, tenant, body))
        logs.append(_log_says(node.number, _verified(node, deployment.operator_key, "/v1/node/verify", patience)))
    return says, logs


def _verified(node: Node, key: str, path: str, patience: float) -> dict[str, Any] | str:
    """The body of its answer, or what it said instead."""
    body: dict[str, Any] = {}

    def asked() -> str | None:
        answer = _ask(node, "POST", path, key)
        if answer is not None and answer.status_code == 200:
            body.update(answer.json())
            return None
        return "no answer" if answer is None else f"{answer.status_code}: {answer.json().get('detail')}"

    try:
        _until(asked, patience)
    except Unready as problem:
        return str(problem)
    return body


def _tenant_says(node: int, tenant: str, body: dict[str, Any] | str) -> TenantSays:
    if isinstance(body, str):
        return TenantSays(node, tenant, problem=body)
    history = body["history"]
    differences = [f"{each['view']} {each['what']}" for place in body["places"] for each in place["differences"]]
    problem = "; ".join([*([history["problem"]] if history["problem"] else []), *differences])
    hashes = {place["place"]: place["hashes"] for place in body["places"]}
    return TenantSays(node, tenant, body["holds"], history["size"], history["root"], hashes, problem)


def _log_says(node: int, body: dict[str, Any] | str) -> LogSays:
    if isinstance(body, str):
        return LogSays(node, problem=body)
    return LogSays(node, body["holds"], body["sequence"], body["chain"] or "", body["problem"] or "")


def _ask(node: Node, method: str, path: str, key: str | None = None) -> httpx.Response | None:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        return httpx.request(method, node.url + path, headers=headers, timeout=ASKED_FOR, trust_env=False)
    except httpx.HTTPError:
        return None
