"""kill -9 at random moments under load: what was acknowledged is there, once, in order, and the views say the same.

`MUNIMENT_TEST_KILLS=50` makes the long run; `make faults` does it.
"""

import contextlib
import os
import random
import threading
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.node import NodeProcess, children, running_node, until

KILLS = int(os.environ.get("MUNIMENT_TEST_KILLS", "5"))
CALLERS = 8


class Load:
    """Callers that create users until the node is gone, and remember what was acknowledged."""

    def __init__(self, node: NodeProcess, tenant: str, enough: int) -> None:
        self.acknowledged: dict[str, int] = {}
        self.sent: dict[str, str] = {}
        self._node = node
        self._tenant = tenant
        self._enough = enough
        self._lock = threading.Lock()
        self.reached = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        with self._node.client() as client, contextlib.suppress(httpx.TransportError):
            while True:
                name, key = f"u-{uuid.uuid4().hex}", uuid.uuid4().hex
                with self._lock:
                    self.sent[name] = key
                answer = client.post(
                    f"/v1/tenants/{self._tenant}/users", json={"user_name": name}, headers={"Idempotency-Key": key}
                )
                assert answer.status_code == 201, answer.text
                with self._lock:
                    self.acknowledged[name] = answer.json()["since"]
                    if len(self.acknowledged) >= self._enough:
                        self.reached.set()


def everything(client: httpx.Client, path: str, **query: Any) -> list[dict[str, Any]]:
    """All items of a listing."""
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get(path, params={"limit": 500, **query, **cursor})
        page.raise_for_status()
        body = page.json()
        items += body["items"]
        if not body.get("next"):
            return items
        cursor = {"cursor": body["next"]}


def test_a_killed_node_has_lost_and_repeated_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    seed = random.Random(20261124)
    acknowledged: dict[str, int] = {}
    sent: dict[str, str] = {}
    with running_node(data) as node, node.client() as client:
        tenant = client.post("/v1/tenants", json={"name": "Killed"}).json()["id"]
    for _ in range(KILLS):
        node = NodeProcess(data)
        load = Load(node, tenant, seed.randrange(1, 150))
        load.start()
        assert load.reached.wait(60)
        node.kill()
        load.join()
        acknowledged |= load.acknowledged
        sent |= load.sent
    with running_node(data) as node, node.client() as client:
        base = f"/v1/tenants/{tenant}"
        events = everything(client, f"{base}/trail", order="oldest")
        assert [each["position"] for each in events] == list(range(1, len(events) + 1)), "positions have a gap"
        named = [each["data"]["user_name"] for each in events if each["type"] == "UserProvisioned"]
        assert len(named) == len(set(named)), "something was recorded twice"
        at = {each["data"]["user_name"]: each["position"] for each in events if each["type"] == "UserProvisioned"}
        assert {name: at.get(name) for name in acknowledged} == acknowledged
        listed = {each["user_name"] for each in everything(client, f"{base}/users")}
        assert listed == set(named)
        verified = client.post(f"{base}/verify").json()
        assert verified["holds"], verified
        log = client.post("/v1/node/verify").json()
        assert log["holds"], log
        _retries_change_nothing(client, base, sent, set(named))


def _retries_change_nothing(client: httpx.Client, base: str, sent: dict[str, str], recorded: set[str]) -> None:
    """What was never acknowledged is sent again: it is there then, and once, whichever way the first time ended."""
    for name in list(sent)[-20:]:
        answer = client.post(f"{base}/users", json={"user_name": name}, headers={"Idempotency-Key": sent[name]})
        assert answer.status_code == 201, (name in recorded, answer.text)
    names = [each["user_name"] for each in everything(client, f"{base}/users")]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("victim", ["projector", "postgres"])
def test_a_killed_helper_of_a_node_comes_back_and_the_views_catch_up(tmp_path: Path, victim: str) -> None:
    with running_node(tmp_path / "data") as node, node.client() as client:
        tenant = client.post("/v1/tenants", json={"name": "Helped"}).json()["id"]
        client.post(f"/v1/tenants/{tenant}/users", json={"user_name": "before"}).raise_for_status()
        for process in children(node, victim):
            process.kill()
        answer = client.post(f"/v1/tenants/{tenant}/users", json={"user_name": "meanwhile"})
        assert answer.status_code == 201, "writes go on"
        trail = client.get(f"/v1/tenants/{tenant}/trail", params={"type": "UserProvisioned"})
        assert len(trail.json()["items"]) == 2, "the trail goes on"

        def listed() -> bool:
            found = client.get(f"/v1/tenants/{tenant}/users")
            assert found.status_code in (200, 503), found.text
            return found.status_code == 200 and len(found.json()["items"]) == 2

        until(listed, "the views catch up")
        assert client.post(f"/v1/tenants/{tenant}/verify").json()["holds"]
