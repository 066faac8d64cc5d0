"""The discovery documents (RFC 7644 §4): what this server supports, and nothing that it doesn't."""

from collections.abc import Mapping
from typing import Any

import scim2_models

from adapters.scim.errors import not_found
from adapters.scim.resources import list_response
from adapters.scim.schema import ENTERPRISE_SCHEMA, GROUP_SCHEMA, USER_SCHEMA, document_of, published

MAX_RESULTS = 1_000
"""Resources of one page (RFC 7643 §5, filter.maxResults)."""

_Documents = Mapping[str, dict[str, Any]]


def service_provider_config(base: str) -> dict[str, Any]:
    """RFC 7643 §5. `base` is the URL of the directory's SCIM door, without a slash at the end."""
    return _located(_CONFIG, "ServiceProviderConfig", f"{base}/ServiceProviderConfig")


def resource_types(base: str) -> dict[str, Any]:
    return _listed(_RESOURCE_TYPES, "ResourceType", f"{base}/ResourceTypes")


def resource_type(base: str, name: str) -> dict[str, Any]:
    """Raises ScimError 404."""
    return _one(_RESOURCE_TYPES, "ResourceType", f"{base}/ResourceTypes", name)


def schemas(base: str) -> dict[str, Any]:
    return _listed(_SCHEMAS, "Schema", f"{base}/Schemas")


def schema(base: str, urn: str) -> dict[str, Any]:
    """Raises ScimError 404."""
    return _one(_SCHEMAS, "Schema", f"{base}/Schemas", urn)


def _listed(documents: _Documents, kind: str, url: str) -> dict[str, Any]:
    located = [_located(document, kind, f"{url}/{document['id']}") for document in documents.values()]
    return list_response(located, len(located))


def _one(documents: _Documents, kind: str, url: str, name: str) -> dict[str, Any]:
    document = documents.get(name.lower())
    if document is None:
        raise not_found(f"there is no {kind} of this name; list them without a name")
    return _located(document, kind, f"{url}/{document['id']}")


def _located(document: Mapping[str, Any], kind: str, location: str) -> dict[str, Any]:
    return {**document, "meta": {"resourceType": kind, "location": location}}


def _dumped(document: scim2_models.Resource[Any]) -> dict[str, Any]:
    return document.model_dump(scim_ctx=scim2_models.Context.RESOURCE_QUERY_RESPONSE)


def _by_id(*documents: scim2_models.Resource[Any]) -> _Documents:
    return {str(document.id).lower(): _dumped(document) for document in documents}


_CONFIG = _dumped(
    scim2_models.ServiceProviderConfig(
        patch=scim2_models.Patch(supported=True),
        bulk=scim2_models.Bulk(supported=False, max_operations=0, max_payload_size=0),
        filter=scim2_models.Filter(supported=True, max_results=MAX_RESULTS),
        change_password=scim2_models.ChangePassword(supported=False),
        sort=scim2_models.Sort(supported=True),
        etag=scim2_models.ETag(supported=True),
        authentication_schemes=[
            scim2_models.AuthenticationScheme(
                type=scim2_models.AuthenticationScheme.Type.oauthbearertoken,
                name="Bearer token",
                description="The bearer token of the directory, in the Authorization header",
                primary=True,
            )
        ],
    )
)

_RESOURCE_TYPES = _by_id(
    scim2_models.ResourceType.from_resource(scim2_models.User[scim2_models.EnterpriseUser]),
    scim2_models.ResourceType.from_resource(scim2_models.Group),
)

_SCHEMAS = _by_id(
    *(published(document) for document in (USER_SCHEMA, ENTERPRISE_SCHEMA, GROUP_SCHEMA)),
    document_of(scim2_models.ResourceType),
    document_of(scim2_models.ServiceProviderConfig),
    document_of(scim2_models.Schema),
)
