"""What a sample finds: nothing where the index is the topic, and the place where it is not."""

from pathlib import Path

from adapters.kafka.sampling import Sampler
from tests.adapters.index.logs import note, work
from tests.adapters.kafka.logs import KafkaLog, options, running
from tests.kafka.fixtures import Brokers, fresh_prefix

EVENTS = 40


def sampler(log: KafkaLog, at: float) -> Sampler:
    kafka = log.kafka
    return Sampler(kafka.client, kafka.topics, kafka.partitions, lambda: at)


async def test_an_index_is_its_topic_and_a_byte_that_was_changed_is_found(kafka: Brokers, tmp_path: Path) -> None:
    async with running(options(kafka.servers, fresh_prefix(), tmp_path / "a")) as log:
        assert sampler(log, 0.0).sample().problem is None
        for number in range(EVENTS):
            await log.owner.execute(work(note(b"%d" % number)))
        whole = sampler(log, 0.0).sample()
        assert (whole.events, whole.problem) == (EVENTS, None)
        later = sampler(log, 0.5).sample()
        assert 0 < later.events < EVENTS
        (stored,) = log.database.one("SELECT stored FROM events WHERE sequence = 7", ())
        changed = bytes([*stored[:-1], stored[-1] ^ 1])
        log.database.writer.execute("UPDATE events SET stored = ? WHERE sequence = 7", (changed,))
        found = sampler(log, 0.0).sample().problem
        assert found is not None
        assert "event 7: the index has other bytes" in found
        log.database.writer.execute("DELETE FROM events WHERE sequence = 7")
        missing = sampler(log, 0.0).sample().problem
        assert missing is not None
        assert "event 7: the index does not have it" in missing
        log.database.writer.execute(
            "INSERT INTO events SELECT 7, tenant, 7, type, instant, own, ? FROM events WHERE sequence = 8", (stored,)
        )
        assert sampler(log, 0.0).sample().problem is None
