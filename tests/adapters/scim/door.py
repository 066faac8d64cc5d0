"""A whole SCIM server in memory, of nothing but the codec and two dictionaries, for real SCIM clients to knock at."""

import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from adapters.scim import discovery
from adapters.scim.errors import ScimError, error_body, not_found
from adapters.scim.filters import parse
from adapters.scim.groups import GroupChange, Member, group_changes, members_of
from adapters.scim.leniency import Tolerance
from adapters.scim.matching import matches
from adapters.scim.patch import apply, read_patch
from adapters.scim.projection import Projection
from adapters.scim.queries import Query, read_query, sort
from adapters.scim.resources import list_response, read_resource
from adapters.scim.schema import GROUP, RESOURCE_TYPES, ResourceType

BASE = "https://scim.example/v2"

Answer = tuple[int, Mapping[str, Any] | None]


class Door:
    """A WSGI application."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, dict[str, Any]]] = {kind.endpoint: {} for kind in RESOURCE_TYPES}
        self._ids = itertools.count(1)
        self._versions = itertools.count(1)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        raw = environ["wsgi.input"].read()
        parameters = dict(parse_qsl(environ.get("QUERY_STRING", "")))
        try:
            body = json.loads(raw) if raw else None
            status, answer = self._answer(environ["REQUEST_METHOD"], environ["PATH_INFO"], parameters, body)
        except ScimError as error:
            status, answer = error.status, error_body(error)
        start_response(f"{status} -", [("Content-Type", "application/scim+json")])
        return [] if answer is None else [json.dumps(answer).encode()]

    def _answer(self, method: str, path: str, parameters: Mapping[str, str], body: Any) -> Answer:
        endpoint, _, name = path.removeprefix("/v2").lstrip("/").partition("/")
        kind = next((kind for kind in RESOURCE_TYPES if kind.endpoint == f"/{endpoint}"), None)
        if endpoint == ".search":
            return 200, self._list(RESOURCE_TYPES, read_query(body))
        if kind is None:
            return self._discovery(method, endpoint, name)
        if not name:
            return (
                (201, self._create(kind, body))
                if method == "POST"
                else (200, self._list([kind], read_query(parameters)))
            )
        if name not in self._kept[kind.endpoint]:
            raise not_found("there is no such resource")
        return self._one(method, kind, name, parameters, body)

    def _discovery(self, method: str, endpoint: str, name: str) -> Answer:
        if endpoint not in {"ServiceProviderConfig", "ResourceTypes", "Schemas"}:
            raise not_found("there is nothing here")
        if method != "GET":
            raise ScimError(405, None, "only GET")
        if endpoint == "ServiceProviderConfig":
            return 200, discovery.service_provider_config(BASE)
        if endpoint == "Schemas":
            return 200, discovery.schema(BASE, name) if name else discovery.schemas(BASE)
        return 200, discovery.resource_type(BASE, name) if name else discovery.resource_types(BASE)

    def _one(self, method: str, kind: ResourceType, name: str, parameters: Mapping[str, str], body: Any) -> Answer:
        kept = self._kept[kind.endpoint]
        if method == "DELETE":
            del kept[name]
            return 204, None
        if method == "PUT":
            self._keep(kind, name, read_resource(body, kind))
        if method == "PATCH":
            tolerance = Tolerance()
            operations = read_patch(body, tolerance)
            if kind is GROUP:
                kept[name] = changed(kept[name], group_changes(operations, tolerance))
            else:
                self._keep(kind, name, apply(kept[name], operations, kind, tolerance))
        query = read_query(parameters)
        return 200, Projection(kind, query.attributes, query.excluded).apply(kept[name])

    def _create(self, kind: ResourceType, body: Any) -> dict[str, Any]:
        return self._keep(kind, f"{kind.name.lower()}_{next(self._ids)}", read_resource(body, kind))

    def _keep(self, kind: ResourceType, name: str, resource: dict[str, Any]) -> dict[str, Any]:
        location = f"{BASE}{kind.endpoint}/{name}"
        version = f'W/"{next(self._versions)}"'
        resource["id"] = name
        resource["meta"] = {"resourceType": kind.name, "location": location, "version": version}
        if kind is GROUP and "members" in resource:
            resource["members"] = [shown(member) for member in members_of(resource)]
        self._kept[kind.endpoint][name] = resource
        return Projection(kind).apply(resource)

    def _list(self, kinds: Iterable[ResourceType], query: Query) -> dict[str, Any]:
        found: list[tuple[ResourceType, dict[str, Any]]] = []
        for kind in kinds:
            wanted = parse(query.filter, kind) if query.filter is not None else None
            kept = self._kept[kind.endpoint].values()
            found += [(kind, one) for one in kept if wanted is None or matches(wanted, one)]
        resources: list[Mapping[str, Any]] = [one for _, one in found]
        if query.sort_by is not None:
            resources = sort(resources, query.sort_by, query.descending, RESOURCE_TYPES)
        by_urn = {kind.urn: Projection(kind, query.attributes, query.excluded) for kind in RESOURCE_TYPES}
        page = resources[query.start_index - 1 :][: query.count]
        shown_page = [by_urn[one["schemas"][0]].apply(one) for one in page]
        return list_response(shown_page, len(resources), query.start_index)


def shown(member: Member) -> dict[str, str]:
    kind = member.type or "User"
    return {"value": member.value, "$ref": f"{BASE}/{kind}s/{member.value}", "type": kind}


def changed(group: Mapping[str, Any], change: GroupChange) -> dict[str, Any]:
    """A group after a change, as a store with one row per member would have it."""
    members = {member["value"]: member for member in group.get("members", [])}
    if change.replace is not None:
        members = {}
    for name in change.remove:
        members.pop(name, None)
    members |= {member.value: shown(member) for member in (*change.add, *(change.replace or ()))}
    after = {**group, "members": list(members.values())}
    if change.display_name is not None:
        after["displayName"] = change.display_name
    if change.external_id is None:
        after.pop("externalId", None)
    elif isinstance(change.external_id, str):
        after["externalId"] = change.external_id
    return {name: value for name, value in after.items() if value != []}
