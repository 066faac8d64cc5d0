"""Numbers of a node's part in a ledger on Kafka, for whoever watches it."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from adapters.kafka.client import Unavailable
from adapters.kafka.ledger import KafkaLedger

EVERY: Final = 10.0


class KafkaMetrics:
    """Asks the brokers now and then; start it once the ledger has started."""

    def __init__(self, kafka: KafkaLedger, registry: CollectorRegistry) -> None:
        self._kafka = kafka
        self._unread = self._open = 0
        gauges: tuple[tuple[str, str, Callable[[], float]], ...] = (
            (
                "muniment_kafka_partitions_owned",
                "Partitions that this node decides for.",
                lambda: sum(each.log is not None for each in kafka.owners.values()),
            ),
            (
                "muniment_kafka_partitions_broken",
                "Partitions that are not read any further, because they are not as they must be.",
                lambda: sum(each.trouble is not None for each in kafka.partitions),
            ),
            (
                "muniment_kafka_takeovers",
                "How often this node has taken a partition over.",
                lambda: sum(each.takeovers for each in kafka.owners.values()),
            ),
            (
                "muniment_kafka_commands_forwarded",
                "Commands that were sent on to another node one by one; whole requests not counted.",
                lambda: kafka.ledger.forwarded,
            ),
            (
                "muniment_kafka_unread_records",
                "Records that this node has not read yet, where it follows.",
                lambda: self._unread,
            ),
            (
                "muniment_kafka_open_records",
                "Records behind a transaction that is still open, where there are most; readers wait for it to end.",
                lambda: self._open,
            ),
        )
        for name, help_text, value in gauges:
            Gauge(name, help_text, registry=registry).set_function(value)

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            with contextlib.suppress(Unavailable):
                await self._look()
            await asyncio.sleep(EVERY)

    async def _look(self) -> None:
        kafka = self._kafka
        places = {each.number: kafka.topics.of_ledger(each.number) for each in kafka.partitions}
        replicated = await asyncio.to_thread(kafka.ends, list(places.values()), committed=False)
        stable = await asyncio.to_thread(kafka.ends, list(places.values()), committed=True)
        self._open = max(replicated[place] - stable[place] for place in places.values())
        self._unread = sum(
            max(0, stable[places[each.number]] - each.passed)
            for each in kafka.partitions
            if kafka.owners[each.number].log is None
        )
