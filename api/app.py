"""The application: every face of a node on one address."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from api import (
    access,
    agents,
    audit,
    directories,
    evidence,
    flags,
    groups,
    node,
    operations,
    people,
    refusals,
    replay,
    tenants,
    users,
    webhook_deliveries,
    webhooks,
)
from api.http.application import Application
from api.protocols import schema_registry, scim

if TYPE_CHECKING:
    from api.wiring import Node

VERSION = "0.1.0"
QUIET = frozenset({"/livez", "/readyz", "/metrics"})
ROUTERS = (
    *scim.ROUTERS,
    tenants.routes,
    users.routes,
    groups.routes,
    directories.routes,
    access.routes,
    agents.routes,
    flags.routes,
    webhooks.routes,
    webhook_deliveries.routes,
    audit.routes,
    people.routes,
    replay.routes,
    evidence.routes,
    node.routes,
    operations.routes,
    schema_registry.routes,
)
"""Matched in this order, one route after another: the busiest stand first."""


def application(node: "Node", **settings: Any) -> FastAPI:
    """Serves a node that has been started."""
    app = Application(
        registry=node.metrics,
        title="Muniment",
        version=VERSION,
        description="An event-sourced identity ledger: every change is an event, every read can be as of any moment.",
        faces={scim.PREFIX: scim.render, schema_registry.PREFIX: schema_registry.render},
        quiet=QUIET,
        inside=_between_nodes(node),
        **settings,
    )
    app.state.node = node
    refusals.install(app)
    scim.install(app, node)
    for routes in ROUTERS:
        app.include_router(routes)
    if node.configuration.kafka is not None:
        from api import internal

        app.include_router(internal.routes)
    app.openapi()
    return app


def _between_nodes(node: "Node") -> Sequence[tuple[Any, Mapping[str, Any]]]:
    """What requests pass on a node that is one of several."""
    if node.configuration.kafka is None:
        return ()
    from api.forwarding import Forwarding  # a node of its own needs no Kafka client

    return ((Forwarding, {"node": node}),)
