"""The application: every face of a node on one address."""

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
)
from api.http.application import Application
from api.protocols import scim

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
    audit.routes,
    people.routes,
    replay.routes,
    evidence.routes,
    node.routes,
    operations.routes,
)
"""Matched in this order, one route after another: the busiest stand first."""


def application(node: "Node", **settings: Any) -> FastAPI:
    """Serves a node that has been started."""
    app = Application(
        registry=node.metrics,
        title="Muniment",
        version=VERSION,
        description="An event-sourced identity ledger: every change is an event, every read can be as of any moment.",
        faces={scim.PREFIX: scim.render},
        quiet=QUIET,
        **settings,
    )
    app.state.node = node
    refusals.install(app)
    scim.install(app, node)
    for routes in ROUTERS:
        app.include_router(routes)
    app.openapi()
    return app
