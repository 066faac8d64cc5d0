"""An application: FastAPI with strict JSON, problems, the doorway and a true OpenAPI before its first route."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from api.http.access_log import AccessLog
from api.http.doorway import Doorway
from api.http.json_body import JsonRoute
from api.http.problem_documentation import document_problems
from api.http.problems import Render, install

_NO_TELEMETRY: Final = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


class Application(FastAPI):
    """`faces` maps a path prefix to how its protocol says a problem; `quiet` names the routes not worth a log line."""

    def __init__(
        self,
        *,
        registry: CollectorRegistry,
        faces: Mapping[str, Render] | None = None,
        quiet: frozenset[str] = frozenset(),
        inside: Sequence[tuple[Any, Mapping[str, Any]]] = (),
        **settings: Any,
    ) -> None:
        """`inside`: further middleware with its arguments, all of it inside the doorway."""
        # The documentation pages load scripts from elsewhere; slash redirects repeat the Host header; FastAPI's
        # telemetry records exception messages and addresses.
        strict = {"docs_url": None, "redoc_url": None, "redirect_slashes": False, "telemetry": _NO_TELEMETRY}
        super().__init__(**{**strict, **settings})
        self.router.route_class = JsonRoute
        install(self, faces)
        for middleware, arguments in inside:
            self.add_middleware(middleware, **arguments)
        self.add_middleware(Doorway, accesses=AccessLog(registry, quiet))

    def build_middleware_stack(self) -> ASGIApp:
        """Also refuses to serve a route that would parse JSON leniently, because its router was a plain APIRouter."""
        for context in iter_route_contexts(self.routes):
            route = context.original_route
            if isinstance(route, APIRoute) and not isinstance(route, JsonRoute):
                raise TypeError(f"{context.path} takes JSON leniently; put it on a JsonRouter")
        return super().build_middleware_stack()

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        document_problems(document)
        return document
