"""`muniment verify --audit`: a node that lies about a history is found out by somebody who reads all of it."""

import base64
import json
from collections.abc import Callable

import httpx
import pytest

from api.cli.auditing import audit_tenant
from api.cli.door import Door
from api.cli.printing import Failed
from domain.evidence.auditing import AuditWrong
from domain.evidence.bundles import BundleWrong, Verified, verify_bundle
from domain.evidence.heads import Head
from domain.evidence.proofs import inclusion_proof
from domain.evidence.tag_counts import TagCount, TagCounts, tag_hash
from domain.evidence.tiles import entry_bundle, parse_tile, tile_bytes
from tests.api.cli.test_exported import real_history
from tests.domain.evidence.deployment import Deployment, History, stored_event
from tests.domain.evidence.signing import Signer, verifies
from tests.domain.examples import EXAMPLES
from tests.golden import make

SIZE = 600


class Server:
    """Serves a log and one history as a node does, and whatever else it is made to."""

    def __init__(self, history: History) -> None:
        self.deployment, self.history = Deployment(), history
        for number in range(300):
            self.deployment.add(Head(f"ten_{number}", number, bytes(32), bytes(32), bytes(32)))
        self.head, self.leaf = history.head(), 0
        self.lies: dict[str, Callable[[bytes], bytes]] = {}
        """By the end of a path: what is made of the honest answer."""

    def commit(self, head: Head | None = None) -> None:
        """The next checkpoint."""
        self.head = head or self.history.head()
        self.leaf = self.deployment.add(self.head)

    def bundle(self, *positions: int) -> Verified:
        """What an auditor was given, and keeps."""
        data = self.deployment.bundle(self.head, self.leaf, [self.history.proof(each) for each in positions])
        return verify_bundle(data, [self.deployment.signer.key], verifies)

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        found = self._honest(path)
        for end, lie in self.lies.items():
            if path.endswith(end):
                found = lie(found)
        return httpx.Response(200 if found else 404, content=found)

    def _honest(self, path: str) -> bytes:
        if path == f"/v1/tenants/{self.history.tenant}/evidence/checkpoint":
            return json.dumps(self._checkpoint()).encode()
        tile = parse_tile(path.partition("/tile/")[2])
        log = path.startswith("/v1/evidence/log/")
        if tile.level is None:
            return entry_bundle((self.deployment.entries if log else self.history.stored)[at] for at in tile.places())
        return tile_bytes(tile, (self.deployment.log if log else self.history.tree).node)

    def _checkpoint(self) -> dict[str, object]:
        def text(data: bytes) -> str:
            return base64.b64encode(data).decode()

        log, head = self.deployment.log, self.head
        proof = inclusion_proof(self.leaf, log.size, log.node)
        return {
            "tenant": head.tenant,
            "size": head.size,
            **{name: text(getattr(head, name)) for name in ("root", "counts", "blind")},
            "leaf": self.leaf,
            "proof": [text(each) for each in proof],
            "checkpoint": self.deployment.note(),
        }


@pytest.fixture
def server() -> Server:
    history = History("ten_acme")
    for number in range(SIZE):
        history.record(f"command:cmd_{number}", f"user:usr_{number % 7}")
    made = Server(history)
    made.commit()
    return made


async def audited(server: Server, *known: tuple[str, Verified], witnesses: int = 0) -> Verified:
    """By somebody who knows the log's key, a witness's, and these bundles."""
    trusted = [server.deployment.signer.key, server.deployment.witness.key]
    steps: list[tuple[int, int]] = []
    async with httpx.AsyncClient(transport=httpx.MockTransport(server.answer), base_url="http://node") as client:
        node = Door(client, "http://node")
        found = await audit_tenant(
            node, server.history.tenant, trusted, witnesses, known, lambda done, of: steps.append((done, of))
        )
    assert steps[-1] == (found.head.size, found.head.size)
    return found


async def found_out(server: Server, said: str, *known: tuple[str, Verified]) -> None:
    with pytest.raises((AuditWrong, BundleWrong), match=said):
        await audited(server, *known)


async def test_an_honest_node_holds(server: Server) -> None:
    old = server.bundle(1, 256, SIZE)
    assert (await audited(server, witnesses=1)).head == server.head
    for number in range(50):
        server.history.record(f"user:usr_{number}")
    server.commit()
    assert (await audited(server, ("old", old), ("new", server.bundle()))).head.size == SIZE + 50


async def test_a_real_history_holds() -> None:
    server = Server(real_history())
    server.commit()
    await audited(server, ("old", server.bundle(3)))


async def test_changed_left_out_and_added_events_are_found_out(server: Server) -> None:
    start = "tile/entries/001"
    server.lies = {start: lambda data: data.replace(b"event 300", b"event 301")}
    await found_out(server, "the first 600 events are not those that the head commits to")
    server.lies = {start: lambda data: data[: -len(server.history.stored[511]) - 2]}
    await found_out(server, "position 512 is missing")
    server.lies = {start: lambda data: data[:-1]}
    await found_out(server, "position 257: the bundle of entries ends within an entry")
    server.lies = {"tile/entries/002.p/88": lambda data: data + data}
    await found_out(server, "is missing|at most 256")
    server.lies = {start: lambda data: b""}
    await found_out(server, "the node answers 404 where it should serve tile/entries/001")
    server.lies = {start: lambda data: b"x" * (1 << 25)}
    await found_out(server, "the node answers 200 where it should serve tile/entries/001")


async def test_a_rewritten_history_is_found_by_an_older_bundle(server: Server) -> None:
    """Signed anew, and consistent in itself: the log's new checkpoint even commits to it."""
    kept = server.bundle(17)
    forged = History("ten_acme")
    for position, (stored, nth) in enumerate(zip(server.history.stored, server.history.nth, strict=True), 1):
        forged.keep(stored.replace(b"event 17", b"event 71") if position == 17 else stored, nth)
    server.history = forged
    server.commit()
    await audited(server)
    await found_out(server, "position 17: the event is not the one in kept", ("kept", kept))
    await found_out(server, "kept: the first 600 events are not", ("kept", kept._replace(events=())))


async def test_a_rewritten_log_is_found_by_an_older_bundle(server: Server) -> None:
    kept = server.bundle(17)
    other = Server(server.history)
    other.deployment.add(Head("ten_other", 1, bytes(32), bytes(32), bytes(32)))
    other.commit()
    await audited(other)
    await found_out(other, "is not the one that it was in kept: it was rewritten", ("kept", kept))


async def test_a_shortened_history_or_log_is_found_by_an_older_bundle(server: Server) -> None:
    kept = server.bundle(17)
    short = Server(server.history)
    short.commit(server.head)
    server.history.record("user:usr_1")
    server.commit()
    longer = server.bundle()
    await found_out(short, "the log muniment.example/log has 301 leaves, and had 302 by longer", ("longer", longer))
    elsewhere = longer._replace(checkpoint=longer.checkpoint._replace(origin="before/the/restore"))
    await found_out(short, "the history has 600 events, and had 601 by longer", ("longer", elsewhere))
    await audited(short, ("kept", kept))


async def test_counts_and_numbers_that_lie_are_found_out(server: Server) -> None:
    counts = {**server.history.counts, "user:usr_3": (3, 18)}
    lie = TagCounts(TagCount(tag_hash(tag), *told) for tag, told in counts.items()).root()
    server.commit(server.head._replace(counts=lie))
    await found_out(server, "commits to other counts of tags")
    nth = {"user:usr_3": 5}
    server.history.keep(stored_event(SIZE + 1, server.history.instant(SIZE + 1), nth), nth)
    server.commit()
    await found_out(server, f"position {SIZE + 1}: it is number 5 with user:usr_3, after number 86")


async def test_a_tag_left_out_is_found_out() -> None:
    history = real_history()
    position = len(history.stored) + 1
    tags = {f"actor:{make.META.actor_id}": position}
    event = EXAMPLES["UserDeactivated"]
    stored = make.encode(event, make.META, position, history.instant(position), [*tags], [*tags.values()])
    history.keep(stored, tags)
    server = Server(history)
    server.commit()
    await found_out(server, f"position {position}: the event is about user:")


async def test_a_node_that_tells_of_another_or_of_nothing(server: Server) -> None:
    server.lies = {"/evidence/checkpoint": lambda data: data.replace(b'"size": 600', b'"size": 599')}
    await found_out(server, "head: the tenant's head is not in the log")
    server.lies = {"/evidence/checkpoint": lambda data: b"{}"}
    with pytest.raises(Failed, match="no tenant's checkpoint"):
        await audited(server)
    server.lies = {}
    server.deployment.signer = Signer("other.example")
    await found_out(server, "no trusted key of the log itself")
