"""The audit of a whole history on the auditor's own machine: nothing is believed but the log's public key.

Every event is fetched as it is stored; the tree, the numbers and counts of tags, and the order of times are computed
here, and compared with what the log has committed to, now and in the bundles that one has from before.
"""

import base64
import binascii
from collections.abc import AsyncIterator, Iterable, Sequence
from functools import partial
from typing import Any, Final

import httpx

from adapters.avro.codec import decode_entry
from adapters.evidence.signing import verifies
from api.cli.door import Door, unreachable
from api.cli.printing import Advance, Failed
from domain.evidence.auditing import Audit, AuditWrong
from domain.evidence.bundles import Verified, verify_bundle, write_bundle
from domain.evidence.heads import Head
from domain.evidence.notes import PublicKey
from domain.evidence.proofs import ProofWrong, consistency_proof, verify_consistency
from domain.evidence.tiles import WIDTH, NoSuchTile, Tile, node_of, parse_entries, tiles_for
from domain.ids import TenantId

_MOST_TILE: Final = WIDTH * (2 + 65_535)


class TenantAudit:
    """Follows one tenant's history from its first event, and holds it against every head that is known of it."""

    def __init__(self, tenant: str, known: Iterable[tuple[str, Verified]] = ()) -> None:
        """`known`: what one has from before, by what it is called."""
        self._tenant = tenant
        self._audit = Audit()
        self._heads: dict[int, list[tuple[str, Head]]] = {}
        self._events: dict[int, list[tuple[str, bytes]]] = {}
        for name, found in known:
            if found.head.tenant == tenant:
                self._heads.setdefault(found.head.size, []).append((name, found.head))
                for each in found.events:
                    self._events.setdefault(each.position, []).append((name, each.stored))

    def add(self, stored: bytes) -> None:
        """The next event. Raises AuditWrong."""
        stamp = self._audit.add(stored)
        for tag in _implied(self._tenant, stored):
            if tag not in stamp.nth:
                raise AuditWrong(f"position {stamp.position}: the event is about {tag} and does not carry it")
        for name, known in self._events.get(stamp.position, ()):
            if known != stored:
                raise AuditWrong(f"position {stamp.position}: the event is not the one in {name}")
        for name, head in self._heads.get(stamp.position, ()):
            try:
                self._audit.check(head)
            except AuditWrong as problem:
                raise AuditWrong(f"{name}: {problem}") from None

    def check(self, head: Head) -> None:
        """That this is all, and what the head commits to. Raises AuditWrong."""
        self._audit.check(head)
        for size, heads in self._heads.items():
            if size > head.size:
                raise AuditWrong(f"the history has {head.size} events, and had {size} by {heads[0][0]}")


def _implied(tenant: str, stored: bytes) -> list[str]:
    """The tags that follow from what an event says; none, if this version can't read it."""
    try:
        entry = decode_entry(TenantId(tenant), stored)
        return [f"actor:{entry.meta.actor_id}", *entry.event.subject_tags()]
    except Exception:  # a dishonest log may have committed to any bytes, of which the decoder may raise anything
        return []


async def audit_tenant(
    node: Door,
    tenant: str,
    trusted: Sequence[PublicKey],
    witnesses: int,
    known: Sequence[tuple[str, Verified]],
    advance: Advance,
) -> Verified:
    """The head that the whole history was found to be as committed to. Raises BundleWrong or AuditWrong."""
    told = await node.get(f"/v1/tenants/{tenant}/evidence/checkpoint")
    found = verify_bundle(_bundle_of(told), trusted, verifies, witnesses=witnesses)
    if found.head.tenant != tenant:
        raise AuditWrong(f"the node told of {found.head.tenant}, and {tenant} was asked for")
    await _check_log(node, found, known)
    audit, size, done = TenantAudit(tenant, known), found.head.size, 0
    async for entries in _entries(node, tenant, size):
        for stored in entries:
            audit.add(stored)
        done += len(entries)
        advance(done, size)
    audit.check(found.head)
    return found


def _bundle_of(told: dict[str, Any]) -> bytes:
    """What a node says of a tenant's newest head, as a bundle without events. Raises Failed."""
    try:
        root, counts, blind = (base64.b64decode(told[name]) for name in ("root", "counts", "blind"))
        proof = [base64.b64decode(each) for each in told["proof"]]
        return write_bundle(
            told["checkpoint"], Head(told["tenant"], told["size"], root, counts, blind), told["leaf"], proof, []
        )
    except (KeyError, TypeError, ValueError, binascii.Error) as problem:
        raise Failed("the node told no tenant's checkpoint: is it of another version?") from problem


async def _entries(node: Door, tenant: str, size: int) -> AsyncIterator[list[bytes]]:
    """All stored events, a tile at a time. Raises AuditWrong."""
    for number in range((size + WIDTH - 1) // WIDTH):
        tile = Tile(None, number, min(WIDTH, size - number * WIDTH))
        try:
            entries = parse_entries(await _read(node, f"/v1/tenants/{tenant}/evidence/{tile.path}"))
        except NoSuchTile as problem:
            raise AuditWrong(f"position {number * WIDTH + 1}: {problem}") from None
        if len(entries) != tile.width:
            raise AuditWrong(f"position {number * WIDTH + len(entries) + 1} is missing")
        yield entries


async def _check_log(node: Door, found: Verified, known: Sequence[tuple[str, Verified]]) -> None:
    """That the deployment's log begins with what it was in each bundle from before. Raises AuditWrong."""
    new = found.checkpoint
    for name, before in known:
        old = before.checkpoint
        if old.origin != new.origin:
            continue  # a log that was restored goes on under another origin; the tenant's history is compared anyway
        if old.size > new.size:
            raise AuditWrong(f"the log {new.origin} has {new.size} leaves, and had {old.size} by {name}")
        prove = partial(consistency_proof, old.size, new.size)
        tiles = {each: await _read(node, f"/v1/evidence/log/{each.path}") for each in tiles_for(new.size, prove)}
        try:
            verify_consistency(old.size, old.root, new.size, new.root, prove(node_of(new.size, tiles)))
        except (ProofWrong, IndexError):
            raise AuditWrong(f"the log {new.origin} is not the one that it was in {name}: it was rewritten") from None


async def _read(node: Door, path: str) -> bytes:
    try:
        response = await node.client.get(path)
    except httpx.HTTPError as problem:
        raise unreachable(node.url, problem) from problem
    if not response.is_success or len(response.content) > _MOST_TILE:
        raise AuditWrong(
            f"the node answers {response.status_code} where it should serve {path.rpartition('/evidence/')[2]}"
        )
    return response.content
