"""What a node tells of its archiving."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge


class ArchiveMetrics:
    """`lag` is in events, `waiting` in seconds, `problems` in tenants."""

    def __init__(
        self,
        registry: CollectorRegistry,
        lag: Callable[[], float],
        waiting: Callable[[], float],
        problems: Callable[[], float],
    ) -> None:
        self.taken = Counter("muniment_archived_events", "Events taken into archives.", registry=registry)
        self.trimmed = Counter("muniment_archive_trimmed_files", "Files that retention removed.", registry=registry)
        self.failures = Counter("muniment_archive_failures", "Attempts to archive that failed.", registry=registry)
        self.verified = Counter(
            "muniment_archive_verified_events", "Archived events that were compared with the log.", registry=registry
        )
        for name, what, value in (
            ("lag_events", "Events of this node's that are not archived yet.", lag),
            ("lag_seconds", "How long an event has waited to be archived, at most.", waiting),
            ("problems", "Tenants whose archive is not what the log is.", problems),
        ):
            Gauge(f"muniment_archive_{name}", what, registry=registry).set_function(value)
