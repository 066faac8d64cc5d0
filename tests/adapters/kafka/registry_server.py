"""A registry of others, small and real: it gives ids of its own, checks credentials, and can be made to fail."""

import base64
import json
from collections.abc import Iterable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"


class RegistryServer:
    """Serve `app`. What it was asked is in `asked`, as (method, path)."""

    def __init__(self, *, first_id: int = 100_001, user: str = "", password: str = "") -> None:
        self.subjects: dict[str, list[int]] = {}
        self.schemas: dict[int, str] = {}
        self.levels: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []
        self.failing: list[Response] = []
        """Answered first, one after another."""
        self.reading_only = False
        self.refusing: frozenset[str] = frozenset()
        """Subjects under which something incompatible is."""
        self._next = first_id
        self._expected = base64.b64encode(f"{user}:{password}".encode()).decode() if user else None
        self.app = Starlette(
            routes=[
                Route("/schemas/ids/{id:int}", self._by_id),
                Route("/subjects/{subject}", self._look_up, methods=["POST"]),
                Route("/subjects/{subject}/versions", self._register, methods=["POST"]),
                Route("/config/{subject}", self._configure, methods=["PUT"]),
                Route("/{path:path}", self._nothing, methods=["GET", "POST", "PUT"]),
            ]
        )

    def writes(self) -> Iterable[tuple[str, str]]:
        return [each for each in self.asked if each[0] == "PUT" or each[1].endswith("/versions")]

    def _refusal(self, request: Request) -> Response | None:
        self.asked.append((request.method, request.url.path))
        if self.failing:
            return self.failing.pop(0)
        if self._expected and request.headers.get("authorization") != f"Basic {self._expected}":
            return error(401, 401, "Unauthorized")
        return None

    async def _by_id(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        text = self.schemas.get(request.path_params["id"])
        return error(404, 40403, "Schema not found") if text is None else answer({"schema": text})

    async def _look_up(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        subject, text = request.path_params["subject"], (await request.json())["schema"]
        versions = self.subjects.get(subject)
        if versions is None:
            return error(404, 40401, "Subject not found")
        for number, id in enumerate(versions, 1):
            if self.schemas[id] == text:
                return answer({"subject": subject, "version": number, "id": id, "schema": text})
        return error(404, 40403, "Schema not found")

    async def _register(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        subject, text = request.path_params["subject"], (await request.json())["schema"]
        if self.reading_only:
            return error(422, 42205, "Subject is in read-only mode")
        if subject in self.refusing:
            return error(409, 409, "Schema being registered is incompatible with an earlier schema")
        known = [id for id, each in self.schemas.items() if each == text]
        if not known:
            known = [self._next]
            self.schemas[self._next] = text
            self._next += 7
        versions = self.subjects.setdefault(subject, [])
        if known[0] not in versions:
            versions.append(known[0])
        return answer({"id": known[0]})

    async def _configure(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        if self.reading_only:
            return error(422, 42205, "Subject is in read-only mode")
        self.levels[request.path_params["subject"]] = level = (await request.json())["compatibility"]
        return answer({"compatibility": level})

    async def _nothing(self, request: Request) -> Response:
        return self._refusal(request) or error(404, 404, "HTTP 404 Not Found")


def answer(said: Any, status: int = 200) -> Response:
    return Response(json.dumps(said), status, media_type=MEDIA_TYPE)


def error(status: int, code: int, message: str) -> Response:
    return JSONResponse({"error_code": code, "message": message}, status, media_type=MEDIA_TYPE)
