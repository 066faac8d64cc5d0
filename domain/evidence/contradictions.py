"""What two bundles can't both say: each holds by itself, and together they show that somebody was told another history.

A log that shows different histories to different people is found out only when they compare what they have.
"""

from collections.abc import Iterable, Iterator

from domain.evidence.bundles import Verified


def contradictions(bundles: Iterable[tuple[str, Verified]]) -> Iterator[str]:
    """Each pair that can't both be true, in a sentence; bundles come with what they are called."""
    seen: dict[tuple[object, ...], tuple[bytes, str]] = {}
    for name, found in bundles:
        log, head = found.checkpoint, found.head
        facts: list[tuple[tuple[object, ...], bytes, str]] = [
            ((log.origin, log.size), log.root, f"the log {log.origin} of {log.size} leaves"),
            ((log.origin, "leaf", found.leaf), head.commitment(), f"leaf {found.leaf} of the log {log.origin}"),
            ((log.origin, head.tenant, head.size), head.root, f"{head.tenant} at {head.size} events"),
            (
                (log.origin, head.tenant, "tags", head.size),
                head.counts,
                f"the tags of {head.tenant} at {head.size} events",
            ),
            *(
                (
                    (log.origin, head.tenant, "event", each.position),
                    each.stored,
                    f"{head.tenant} at position {each.position}",
                )
                for each in found.events
            ),
        ]
        for fact, value, told in facts:
            known, where = seen.setdefault(fact, (value, name))
            if known != value:
                yield f"{where} and {name} contradict each other about {told}"
