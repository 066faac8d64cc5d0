"""Every page, in the order in which routes are matched."""

from typing import Final

from api.pages import checks, diff, incident, overview, proofs, radius, signing_in, state, static, things, trail

ROUTERS: Final = (
    static.routes,
    signing_in.routes,
    trail.routes,
    state.routes,
    things.routes,
    diff.routes,
    radius.routes,
    incident.routes,
    proofs.routes,
    checks.routes,
    overview.routes,
)
