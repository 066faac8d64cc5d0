"""The application: every face of a node on one address."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from api import (
    access,
    agents,
    archive,
    as_of,
    audit,
    audit_actions,
    blast_radius,
    checkpoints,
    directories,
    evidence,
    exports,
    flags,
    groups,
    incident,
    node,
    operations,
    people,
    product_events,
    proofs,
    refusals,
    replay,
    sink_deliveries,
    sinks,
    tenants,
    trail,
    trail_query,
    users,
    webhook_deliveries,
    webhooks,
    what_if,
    why,
)
from api.http.application import Application
from api.pages import every as pages
from api.pages.route import render as render_page
from api.pages.sessions import PREFIX as CONSOLE
from api.protocols import schema_registry, scim

if TYPE_CHECKING:
    from api.wiring import Node

VERSION = "0.1.0"
QUIET = frozenset({"/livez", "/readyz", "/metrics", "/console/static/{version}/{name}"})
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
    trail.routes,
    trail_query.routes,
    exports.routes,
    audit.routes,
    archive.routes,
    audit_actions.routes,
    product_events.routes,
    sinks.routes,
    sink_deliveries.routes,
    people.routes,
    replay.routes,
    as_of.routes,
    incident.routes,
    why.routes,
    what_if.routes,
    blast_radius.routes,
    evidence.routes,
    checkpoints.routes,
    proofs.routes,
    node.routes,
    operations.routes,
    schema_registry.routes,
    *pages.ROUTERS,
)
"""Matched in this order, one route after another: the busiest stand first."""


def application(node: "Node", **settings: Any) -> FastAPI:
    """Serves a node that has been started."""
    app = Application(
        registry=node.metrics,
        title="Muniment",
        version=VERSION,
        description="An event-sourced identity ledger: every change is an event, every read can be as of any moment.",
        faces={scim.PREFIX: scim.render, schema_registry.PREFIX: schema_registry.render, CONSOLE: render_page},
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
    """What requests pass on a node that is one of several, or only reads."""
    if node.as_of is not None:
        inside: Sequence[tuple[Any, Mapping[str, Any]]] = node.inside  # type: ignore[attr-defined]
        return inside
    if node.configuration.kafka is None:
        return ()
    from api.forwarding import Forwarding  # a node of its own needs no Kafka client

    return ((Forwarding, {"node": node}),)
