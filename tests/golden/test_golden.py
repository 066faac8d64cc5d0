"""Bytes of every schema that was ever released are read by today's code, and today's bytes are those of then."""

import io
import json
import shutil
import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fastavro import parse_schema, schemaless_reader

from adapters.avro.codec import decode_entry, decode_own
from domain.event import MOST_BYTES
from domain.evidence.tree import Frontier, leaf_hash
from domain.ids import TenantId
from schemas.registry import by_id, current, published, released
from tests import golden
from tests.domain.evidence.test_tree import merkle_tree_hash
from tests.domain.examples import EXAMPLES
from tests.golden import GoldenEvent, golden_events, golden_ids, make, plain

TENANT = TenantId("ten_golden")
every_golden_event = pytest.mark.parametrize(
    "kept", golden_events(), ids=lambda kept: f"{kept.event}.{kept.revision}" if isinstance(kept, GoldenEvent) else ""
)


def test_every_released_schema_has_a_golden_event() -> None:
    assert [kept.id for kept in golden_events()] == [schema.id for schema in released()]


@every_golden_event
def test_today_reads_what_was_written_then(kept: GoldenEvent) -> None:
    entry = decode_entry(TENANT, kept.stored)
    assert type(entry.event).__name__ == kept.event
    says = plain(entry.event)
    assert {name: says[name] for name in kept.says.keys() & says.keys()} == {
        name: said for name, said in kept.says.items() if name in says
    }
    assert {name: said for name, said in plain(entry.meta).items() if name != "tags"} == kept.meta
    assert (entry.schema, entry.position, entry.instant) == (kept.id, kept.id, make.INSTANT + kept.id)
    assert entry.nth == tuple(range(1, len(entry.meta.tags) + 1))
    assert set(entry.event.subject_tags()) <= set(entry.meta.tags)


@every_golden_event
def test_the_event_alone_reads_the_same(kept: GoldenEvent) -> None:
    whole = decode_entry(TENANT, kept.stored)
    own = kept.stored.index(kept.meta["request_address"].encode()) + len(kept.meta["request_address"])
    assert decode_own(kept.stored, own) == whole.event


@every_golden_event
def test_today_writes_the_bytes_of_then(kept: GoldenEvent) -> None:
    entry = decode_entry(TENANT, kept.stored)
    again = make.encode(entry.event, entry.meta, entry.position, entry.instant, list(entry.meta.tags), list(entry.nth))
    if current()[kept.event].id == kept.id:
        assert again == kept.stored
        assert entry.event == EXAMPLES[kept.event]
    else:
        assert decode_entry(TENANT, again).event == entry.event


@every_golden_event
def test_any_avro_reader_reads_them_with_the_published_schema(kept: GoldenEvent) -> None:
    magic, number = struct.unpack(">BI", kept.stored[:5])
    assert (magic, number) == (0, kept.id)
    source = io.BytesIO(kept.stored[5:])
    read: Any = schemaless_reader(source, parse_schema(by_id()[kept.id].avro), None)
    assert source.read() == b""
    for name, said in {**kept.says, **kept.meta}.items():
        assert as_plain(read[name]) == said, name


def as_plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name: as_plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_plain(each) for each in value]
    return round(value.timestamp() * 1_000_000) if hasattr(value, "timestamp") else value


def test_the_leaves_and_the_roots_are_those_of_then() -> None:
    frontier = Frontier()
    stored = []
    for kept in golden_events():
        stored.append(kept.stored)
        assert leaf_hash(kept.stored).hex() == kept.leaf
        frontier.append(leaf_hash(kept.stored))
        assert frontier.root().hex() == kept.root
    assert merkle_tree_hash(stored).hex() == golden_events()[-1].root


@every_golden_event
def test_a_golden_event_fills_every_field_and_fits(kept: GoldenEvent) -> None:
    assert None not in kept.says.values()
    assert None not in kept.meta.values()
    assert len(kept.stored) <= MOST_BYTES


def test_ids_are_never_given_twice_or_changed() -> None:
    """The golden copy is what consumers have: a released schema keeps its number and every letter."""
    now = [make.id_of(schema) for schema in published()]
    assert now == [kept._asdict() for kept in golden_ids()]


def test_only_what_is_missing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IDS", "EVENTS"):
        path = tmp_path / f"{name}.json"
        shutil.copy(getattr(golden, name), path)
        monkeypatch.setattr(golden, name, path)
    before = golden.IDS.read_text(), golden.EVENTS.read_text()
    assert make.add_missing() == []
    assert (golden.IDS.read_text(), golden.EVENTS.read_text()) == before
    altered = json.loads(before[1])
    altered[0]["stored"] = "00"
    golden.write(golden.EVENTS, altered[:-1])
    assert make.add_missing() == [f"{altered[-1]['event']} revision {altered[-1]['revision']}: an event"]
    after = json.loads(golden.EVENTS.read_text())
    assert after[0]["stored"] == "00"
    assert after[-1] == altered[-1]


def test_every_struct_of_an_event_is_compared() -> None:
    assert plain(EXAMPLES["UserRenamed"])["user_name"].keys() == {"key", "nonce", "ciphertext", "eq"}
    assert issubclass(type(EXAMPLES["UserRenamed"]), msgspec.Struct)
