"""The access log: what was asked of which route, how it ended and how long it took; as a line and as metrics.

Routes appear as their templates, so neither lines nor labels grow with what callers send. There are no paths, queries,
headers, bodies or addresses here.
"""

import re
from time import perf_counter
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import Scope

UNMATCHED: Final = "unmatched"

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_TENANT: Final = re.compile(r"[a-z0-9_]{1,64}")
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class AccessLog:
    """Records requests. `quiet` names route templates, such as probes, whose successes only count as metrics."""

    def __init__(self, registry: CollectorRegistry, quiet: frozenset[str] = frozenset()) -> None:
        self._requests = Counter(
            "muniment_http_requests_total", "Requests answered.", ("method", "route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "muniment_http_request_seconds",
            "Time from a request's arrival to the end of its answer.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=registry,
        )
        # Looking a labelled metric up costs more than counting, and there are only as many as routes times statuses.
        self._metrics: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._quiet = quiet
        self._log = structlog.get_logger()

    def record(self, scope: Scope, status: int, began: float) -> None:
        """`began` is a reading of `perf_counter`."""
        seconds = perf_counter() - began
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        route = route_template(scope)
        requests, duration = self._metrics_of(method, route, status)
        requests.inc()
        duration.observe(seconds)
        if status < 400 and route in self._quiet:
            return
        log = self._log.error if status >= 500 else self._log.info
        log(
            "request",
            method=method,
            route=route,
            status=status,
            ms=round(seconds * 1000, 3),
            correlation=scope["state"].get("correlation"),
            tenant=_tenant_of(scope["state"]),
        )

    def _metrics_of(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        key = (method, route, status)
        if (found := self._metrics.get(key)) is None:
            found = self._requests.labels(method, route, str(status)), self._seconds.labels(method, route)
            self._metrics[key] = found
        return found


def route_template(scope: Scope) -> str:
    """The path of the matched route with its parameters' names in place of their values."""
    # A route in an included router knows its path only below that router; FastAPI keeps the whole beside it.
    included: Any = scope.get("fastapi", {}).get("effective_route_context")
    route = included if included is not None else scope.get("route")
    template: str | None = getattr(route, "path_format", None)
    return template or UNMATCHED


def _tenant_of(state: dict[str, Any]) -> str | None:
    """The tenant that a handler has established; only ever an id."""
    tenant = state.get("tenant")
    return tenant if isinstance(tenant, str) and _TENANT.fullmatch(tenant) else None
