"""Makes the golden copy of a schema and an event of it, with nothing in them that another day would make otherwise."""

import hashlib
from typing import Final

from adapters.avro.codec import Body, encode_own, encode_shared, encode_tags, frame
from domain.event import Event, Meta, Sealed
from domain.evidence.tree import Frontier, leaf_hash
from schemas.registry import Schema, current, published
from tests import golden
from tests.domain.examples import EXAMPLES
from tests.golden import golden_events, golden_ids, plain, write

INSTANT: Final = 1_700_000_000_000_000
META: Final = Meta(
    event_id="018bcfe5-6800-7000-8000-000000000001",
    actor_kind="user",
    actor_id="usr_018bcfe5680000000000000000000002",
    on_behalf_of=("user:usr_018bcfe5680000000000000000000003",),
    credential_id="key_018bcfe5680000000000000000000004",
    authority_permission="users:manage",
    authority_decision="dec_018bcfe5680000000000000000000005",
    authority_policies=("owners",),
    authority_position=299,
    command_id="cmd_018bcfe5680000000000000000000006",
    causation_id="018bcfe5-6800-7000-8000-000000000007",
    correlation_id="golden",
    idempotency_key=b"sixteen bytes it",
    idempotency_body=b"and sixteen more",
    request=Sealed("dek_018bcfe5680000000000000000000008", bytes(range(12)), b"sealed request", bytes(range(16))),
    request_address="0123456789abcdef01234567",
    tags=(),
)


def add_missing() -> list[str]:
    """What was added, one line each."""
    added = []
    ids, events = golden_ids(), golden_events()
    frontier = Frontier()
    for each in events:
        frontier.append(bytes.fromhex(each.leaf))
    known, kept = {each.id for each in ids}, {each.id for each in events}
    id_rows = [each._asdict() for each in ids]
    event_rows = [{**each._asdict(), "stored": each.stored.hex()} for each in events]
    for schema in published():
        if schema.id not in known:
            id_rows.append(id_of(schema))
            added.append(f"{schema.event} revision {schema.revision}: id {schema.id}")
        if schema.id not in kept and not schema.control:
            event_rows.append(_event_of(schema, frontier))
            added.append(f"{schema.event} revision {schema.revision}: an event")
    write(golden.IDS, id_rows)
    write(golden.EVENTS, event_rows)
    return added


def id_of(schema: Schema) -> dict[str, object]:
    text = hashlib.sha256(schema.text.encode()).hexdigest()
    return {
        "id": schema.id,
        "event": schema.event,
        "revision": schema.revision,
        "canonical": schema.fingerprint,
        "text": text,
    }


def _event_of(schema: Schema, frontier: Frontier) -> dict[str, object]:
    if current()[schema.event].id != schema.id:
        raise LookupError(
            f"{schema.event} has moved on from revision {schema.revision} before an event of it was kept: "
            "check out the commit that released it, and run this there"
        )
    event = EXAMPLES[schema.event]
    tags = [f"actor:{META.actor_id}", f"command:{META.command_id}", *dict.fromkeys(event.subject_tags())]
    stored = encode(event, META, schema.id, INSTANT + schema.id, tags, list(range(1, len(tags) + 1)))
    leaf = leaf_hash(stored)
    frontier.append(leaf)
    return {
        "id": schema.id,
        "event": schema.event,
        "revision": schema.revision,
        "stored": stored.hex(),
        "leaf": leaf.hex(),
        "root": frontier.root().hex(),
        "says": plain(event),
        "meta": {name: said for name, said in plain(META).items() if name != "tags"},
    }


def encode(event: Event, meta: Meta, position: int, instant: int, tags: list[str], nth: list[int]) -> bytes:
    """The stored bytes, as the sequencer has the codec make them."""
    body = Body(encode_shared(meta), encode_own(event), encode_tags(tags))
    return frame(type(event), position, instant, nth, meta.event_id, body).stored
