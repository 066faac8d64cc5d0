"""What `docs/consuming.md` gives people to begin with works as it stands there."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, TopicPartition
from prometheus_client import CollectorRegistry

from adapters.avro.codec import decode_entry
from adapters.kafka.control import TakeOver, encode_takeover
from adapters.kafka.headers import CommitMark, control_headers_of, headers_of
from api.http.application import Application
from api.protocols import schema_registry
from domain.ids import TenantId
from schemas.registry import by_id
from tests.adapters.kafka.test_streams import Written, topic_of, write
from tests.golden import golden_events
from tests.golden.make import encode
from tests.kafka.fixtures import Brokers
from tests.node import PATIENCE, until
from tests.serving import served

PAGE = Path(__file__).parents[3] / "docs" / "consuming.md"
TENANTS = tuple(TenantId(f"ten_{number:032x}") for number in (1, 2))
INSTANT = 1_700_000_000_000_000


def fill(kafka: Brokers, topic: str) -> list[str]:
    """Two owners, each with a transaction that is aborted and one of every type of event; what a reader is to print."""
    lines = [line for owner in (1, 2) for line in _commit(kafka, topic, owner)]
    assert len(lines) == 2 * len(golden_events())
    return lines


def _commit(kafka: Brokers, topic: str, owner: int) -> Iterator[str]:
    count = len(golden_events())
    value = encode_takeover(TakeOver(owner, owner, "http://node:8000", 0, bytes(32), INSTANT))
    records: list[Written] = [(None, value, control_headers_of(value, INSTANT, CommitMark(bytes(16), 0, 1, owner, 0)))]
    for place, kept in enumerate(golden_events()):
        tenant, position = TENANTS[place % 2], (owner - 1) * ((count + 1 - place % 2) // 2) + place // 2 + 1
        entry = decode_entry(tenant, kept.stored)
        event_id = f"018bcfe5-6800-7000-8000-{owner:04x}{place:08x}"
        meta = msgspec.structs.replace(entry.meta, event_id=event_id)
        stored = encode(entry.event, meta, position, INSTANT, list(meta.tags), list(entry.nth))
        mark = CommitMark(bytes(16), place, count, owner, (owner - 1) * count + place + 1)
        records.append((tenant.encode(), stored, headers_of(stored, event_id, INSTANT, tenant, mark)))
        schema = int.from_bytes(stored[1:5], "big")
        yield f"{tenant} {position} {by_id()[schema].full_name} {event_id}"
    write(kafka, topic, records, records[:3])


def block(language: str) -> str:
    """The page's one program in a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return str(found)


@pytest.fixture(scope="module")
def node() -> Iterator[str]:
    app = Application(registry=CollectorRegistry(), faces={schema_registry.PREFIX: schema_registry.render})
    app.include_router(schema_registry.routes)
    with served(app) as url:
        yield url


def test_the_consumer_in_python_reads_every_event_once_and_in_order(kafka: Brokers, node: str, tmp_path: Path) -> None:
    topic = topic_of(kafka)
    expected = fill(kafka, topic)
    program = tmp_path / "consumer.py"
    program.write_text(block("python"))
    settings = {"KAFKA": kafka.servers, "MUNIMENT": node, "TOPIC": topic, "GROUP": topic}
    seen: list[str] = []
    with subprocess.Popen(
        [sys.executable, str(program)], env={**os.environ, **settings}, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout
        listening = threading.Thread(target=lambda out: seen.extend(map(str.strip, out)), args=(running.stdout,))
        listening.start()
        try:
            until(lambda: len(seen) >= len(expected) or running.poll() is not None, "every event")
        finally:
            running.kill()
            listening.join()
    assert seen == expected


def test_a_consumer_can_begin_at_a_moment(kafka: Brokers) -> None:
    """By the broker's time: nothing of that moment or after it is missed, and what was before is not read again."""
    topic = topic_of(kafka)
    fill(kafka, topic)
    consumer = Consumer({"bootstrap.servers": kafka.servers, "group.id": topic, "log_level": 0})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        found: list[tuple[int, int]] = []

        def is_read() -> bool:
            for each in consumer.consume(1000, 0.2):
                assert each.timestamp()[0] == TIMESTAMP_LOG_APPEND_TIME
                found.append((each.timestamp()[1], each.offset()))  # type: ignore[arg-type]
            return len(found) == 2 * len(golden_events()) + 2

        until(is_read, "every record")
        for moment in {time for time, _ in found}:
            (begin,) = consumer.offsets_for_times([TopicPartition(topic, 0, moment)], PATIENCE)
            assert [each for each in found if each[1] >= begin.offset] == [each for each in found if each[0] >= moment]
    finally:
        consumer.close()


@pytest.mark.parametrize("language", ["python", "java", "go"])
def test_a_consumer_fits_a_screen(language: str) -> None:
    assert len(block(language).splitlines()) <= 90
