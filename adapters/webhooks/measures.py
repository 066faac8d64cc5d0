"""Measures: what a node's metrics say of webhooks and sinks."""

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

from adapters.webhooks.book import Attempt
from adapters.webhooks.hook import Hook
from domain.ids import TenantId


class Measures:
    """`all_of_them` are those that this node delivers to; `head` is where a tenant's history ends."""

    def __init__(
        self, metrics: CollectorRegistry, all_of_them: Callable[[], Sequence[Hook]], head: Callable[[TenantId], int]
    ) -> None:
        self._all = all_of_them
        self._head = head
        self._attempts = {
            "webhook": Counter(
                "muniment_webhook_attempts", "Requests to webhooks, by outcome.", ["outcome"], registry=metrics
            ),
            "sink": Counter(
                "muniment_sink_attempts", "Batches sent to sinks, by outcome.", ["outcome"], registry=metrics
            ),
        }
        self._sink_events = Counter("muniment_sink_events", "Events delivered to sinks.", registry=metrics)
        failing = Gauge("muniment_webhooks_failing", "Webhooks that nothing gets through to.", registry=metrics)
        failing.set_function(lambda: self._failing("webhook"))
        sinks = Gauge("muniment_sinks_failing", "Sinks that nothing gets through to.", registry=metrics)
        sinks.set_function(lambda: self._failing("sink"))
        lag = Gauge("muniment_sink_lag_events", "Positions that the slowest active sink is behind.", registry=metrics)
        lag.set_function(self._lag)

    def attempted(self, hook: Hook, attempt: Attempt) -> None:
        self._attempts[hook.kind.word].labels("delivered" if attempt.delivered else "failed").inc()
        if attempt.delivered and hook.kind.word == "sink":
            self._sink_events.inc(attempt.events)

    def _failing(self, word: str) -> int:
        return sum(1 for each in self._all() if each.kind.word == word and each.place.failing_since)

    def _lag(self) -> int:
        active = [each for each in self._all() if each.kind.word == "sink" and each.known.life == "active"]
        return max((self._head(each.tenant) - each.place.reached for each in active), default=0)
