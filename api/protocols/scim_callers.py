"""Who calls SCIM: a directory, by one of its tokens, at its own address; and how it is answered."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response
from fastapi.security import HTTPBearer

from adapters.scim.errors import ScimError
from adapters.scim.leniency import Tolerance
from adapters.scim.projection import Projection
from adapters.scim.queries import Query, read_query
from adapters.scim.schema import USER, ResourceType
from api.acting import Acting, Reading
from api.bodies import time_text
from api.http import problems
from api.http.etags import etag
from api.http.headers import IdempotencyKey, KnownPosition
from api.http.moments import AskedMoment
from api.permitted import TheNode, admit, at_moment, credential_of
from api.protocols.scim_documents import DirectoryInScim, ScimResponse
from api.protocols.scim_memory import ScimMemory
from domain.boundary import Expectation
from domain.command import Command, Taken
from domain.event import Instant
from domain.ids import DirectoryId
from domain.ledger import Outcome
from projections.directory import DIRECTORIES

_bearer: Final = HTTPBearer(
    auto_error=False, scheme_name="DirectoryToken", description="A token of the directory in the address."
)
_MISSING: Final = "the directory does not exist, or the token is not one of its own"


PROVIDERS: Final = frozenset(
    {"generic", "okta", "entra", "onelogin", "jumpcloud", "google", "ping", "keycloak", "workday", "rippling"}
)
"""Those that metrics name; a tenant may call its provider anything."""


class FromDirectory(Acting):
    """A directory that was let in."""

    @property
    def directory(self) -> DirectoryId:
        directory = self.credential.directory
        if directory is None:
            raise problems.not_found(_MISSING)
        return directory

    @property
    def base(self) -> str:
        """The address of the directory's SCIM door."""
        return self.node.scim_url(self.directory)

    @cached_property
    def query(self) -> Query:
        """What the address asks for. Raises ScimError."""
        return read_query(self._request.query_params)

    @cached_property
    def tolerance(self) -> Tolerance:
        """In what the request departs from the standard."""
        return Tolerance()

    @property
    def memory(self) -> ScimMemory:
        memory: ScimMemory = self._request.app.state.scim
        return memory

    def projection(self, kind: ResourceType) -> Projection:
        """What the answer shows of a resource. Raises ScimError."""
        return Projection(kind, self.query.attributes, self.query.excluded)

    def location(self, kind: ResourceType, id: str) -> str:
        return f"{self.base}{kind.endpoint}/{id}"

    def weak_tag(self, position: int) -> str:
        """The ETag of what has been so since a position."""
        return str(etag(position, self.node.keyring.epoch, weak=True))

    def meta(self, kind: ResourceType, id: str, created: Instant, changed: Instant, position: int) -> dict[str, str]:
        """RFC 7643 §3.1."""
        return {
            "resourceType": kind.name,
            "created": time_text(created),
            "lastModified": time_text(changed),
            "location": self.location(kind, id),
            "version": self.weak_tag(position),
        }

    def tell_version(self, version: str) -> None:
        self._response.headers["ETag"] = version

    def answer(self, content: Mapping[str, Any] | None, status: int = 200) -> Response:
        self._count_leniencies()
        return ScimResponse(content, status, dict(self._response.headers))

    def answer_resource(self, shown: Mapping[str, Any], meta: Mapping[str, str], status: int = 200) -> Response:
        """What is shown of a resource; its headers say what its `meta` does, also where that is not shown."""
        self.tell_version(meta["version"])
        self._response.headers["Location" if status == 201 else "Content-Location"] = meta["location"]
        return self.answer(shown, status)

    def count(self, rule: str) -> None:
        """A departure from the standard that was accepted; it is known which provider needs it."""
        row = self.resident_row(DIRECTORIES, self.directory)
        provider = row.provider if row and row.provider in PROVIDERS else "other"
        self.memory.leniencies.labels(rule, provider).inc()

    def _count_leniencies(self) -> None:
        for rule in sorted(self.tolerance.used):
            self.count(rule)


class Provisioning(FromDirectory):
    """A directory that changes its people and groups."""

    async def execute(self, command: Command, expects: Iterable[Expectation] = ()) -> Outcome:
        """As everywhere, but a value that must be unique and isn't is SCIM's own error."""
        try:
            return await super().execute(command, expects)
        except Taken as taken:
            raise ScimError(409, "uniqueness", taken.reason) from None


class Inquiring(FromDirectory, Reading):
    """A directory that reads, as of a moment."""


def may_provision(permission: str) -> Any:
    """A directory that may change things at its own address."""

    async def dependency(
        request: Request,
        response: Response,
        directory: DirectoryInScim,
        node: TheNode,
        key: IdempotencyKey,
        _: Annotated[Any, Depends(_bearer)],
    ) -> Provisioning:
        provisioning: Provisioning = await _let_in(Provisioning, node, request, response, directory, permission, key)
        return provisioning

    return Depends(dependency)


def may_inquire(permission: str) -> Any:
    """A directory that may read at its own address, as of the moment that the query names."""

    async def dependency(
        request: Request,
        response: Response,
        directory: DirectoryInScim,
        node: TheNode,
        as_of: AskedMoment,
        known: KnownPosition,
        _: Annotated[Any, Depends(_bearer)],
    ) -> Inquiring:
        inquiring: Inquiring = await _let_in(Inquiring, node, request, response, directory, permission)
        await at_moment(inquiring, as_of, known, response)
        return inquiring

    return Depends(dependency)


async def _let_in(
    kind: type[FromDirectory],
    node: Any,
    request: Request,
    response: Response,
    directory: str,
    permission: str,
    idempotency_key: str | None = None,
) -> Any:
    credential = credential_of(node, request)
    if credential.directory is None or credential.directory != directory:
        raise problems.not_found(_MISSING)
    caller = await admit(kind, node, request, response, credential, credential.tenant, permission, idempotency_key)
    caller.projection(USER)  # What can't be answered must not be done.
    return caller
