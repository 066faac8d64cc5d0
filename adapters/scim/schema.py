"""The resource types we speak, as attribute definitions read from scim2-models and made true to what we keep."""

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec
import scim2_models
from scim2_models import Mutability, Returned

type_of = scim2_models.Attribute.Type


class Kind(StrEnum):
    """RFC 7643 §2.3."""

    STRING = "string"
    BOOLEAN = "boolean"
    DECIMAL = "decimal"
    INTEGER = "integer"
    DATE_TIME = "dateTime"
    REFERENCE = "reference"
    BINARY = "binary"
    COMPLEX = "complex"


TEXTUAL = frozenset({Kind.STRING, Kind.REFERENCE, Kind.BINARY})

Comparable = str | bool | int | float | datetime


class Attribute(msgspec.Struct, frozen=True, kw_only=True):
    """One attribute with its characteristics (RFC 7643 §2.2); sub-attributes are found by their lower-case names."""

    name: str
    kind: Kind = Kind.STRING
    multi_valued: bool = False
    required: bool = False
    case_exact: bool = False
    mutability: Mutability = Mutability.read_write
    returned: Returned = Returned.default
    subs: Mapping[str, "Attribute"] = {}

    @property
    def is_read_only(self) -> bool:
        return self.mutability is Mutability.read_only

    @property
    def is_forgotten(self) -> bool:
        """Taken off at the door: the password, which we never keep."""
        return self.returned is Returned.never

    @property
    def compared(self) -> "Attribute | None":
        """What a comparison with this attribute reads: itself, or its `value` (RFC 7644 §3.4.2.2)."""
        return self.subs.get("value") if self.kind is Kind.COMPLEX else self

    def comparable(self, value: object) -> Comparable | None:
        """The form in which two values of this attribute are compared; None for what is no value of it."""
        match self.kind:
            case Kind.STRING | Kind.REFERENCE | Kind.BINARY:
                return self._comparable_text(value) if isinstance(value, str) else None
            case Kind.BOOLEAN:
                return value if isinstance(value, bool) else None
            case Kind.INTEGER | Kind.DECIMAL:
                return value if isinstance(value, int | float) and not isinstance(value, bool) else None
            case Kind.DATE_TIME:
                return moment(value)
            case Kind.COMPLEX:
                return None

    def _comparable_text(self, value: str) -> str:
        # As the directory compares user names: NFKC and casefold. Exact attributes are compared as they are.
        return value if self.case_exact else unicodedata.normalize("NFKC", value).casefold()


class AttributePath(msgspec.Struct, frozen=True):
    """A resolved `attrPath` (RFC 7644 §3.10). Without attribute it names a whole extension, or the resource."""

    extension: str | None
    attribute: Attribute | None
    sub: Attribute | None = None

    @property
    def leaf(self) -> Attribute | None:
        return self.sub or self.attribute

    def holder(self, resource: Mapping[str, Any]) -> Mapping[str, Any]:
        """The object that has the attribute: the resource, or one of its extensions."""
        if self.extension is None:
            return resource
        found = resource.get(self.extension)
        return found if isinstance(found, Mapping) else {}


class ResourceType(msgspec.Struct, frozen=True):
    """A resource type (RFC 7643 §6): attributes of the core schema, and of each extension by its URN."""

    name: str
    endpoint: str
    urn: str
    attributes: Mapping[str, Attribute]
    extensions: Mapping[str, Mapping[str, Attribute]] = {}

    def attributes_of(self, extension: str | None) -> Mapping[str, Attribute]:
        return self.attributes if extension is None else self.extensions[extension]

    def extension_named(self, text: str) -> str | None:
        """The extension whose URN this is; URNs are compared without case."""
        return next((urn for urn in self.extensions if urn.lower() == text.lower()), None)

    def resolve(self, text: str) -> AttributePath | None:
        """What `[urn:]name[.sub]` names here, or None if we have nothing of that name."""
        extension, rest = self._split(text)
        if rest is None:
            return None
        if not rest:
            return AttributePath(extension, None)
        name, dot, sub_name = rest.partition(".")
        attribute = self.attributes_of(extension).get(name.lower())
        if attribute is None:
            return None
        if not dot:
            return AttributePath(extension, attribute)
        sub = attribute.subs.get(sub_name.lower())
        return AttributePath(extension, attribute, sub) if sub is not None else None

    def _split(self, text: str) -> tuple[str | None, str | None]:
        # The longest known URN wins: neither the colons nor the dot of "2.0" can be told from separators by looks.
        lowered = text.lower()
        for urn in sorted((self.urn, *self.extensions), key=len, reverse=True):
            if lowered == urn.lower() or lowered.startswith(f"{urn.lower()}:"):
                return None if urn == self.urn else urn, text[len(urn) + 1 :]
        return None, None if ":" in text else text


def moment(value: object) -> datetime | None:
    """A dateTime (RFC 7643 §2.3.5) in UTC; without an offset it is taken as UTC."""
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


# What we do differently from the published schemas, by path: everything else is as scim2-models has it.
_KEPT_DIFFERENTLY: Mapping[str, Mapping[str, Any]] = {
    # RFC 7643 §4.3 recommends both and requires neither; providers send the value alone.
    "manager.value": {"required": False},
    "manager.$ref": {"required": False},
    # Names are the users' own: a list of members is not the place to copy them to.
    "members.display": {"mutability": Mutability.read_only, "returned": Returned.never},
}


def published(document: scim2_models.Schema) -> scim2_models.Schema:
    """The same schema without the attributes we take off at the door, for discovery."""
    shown = document.model_copy(deep=True)
    shown.attributes = _without_forgotten(shown.attributes or [])
    for attribute in shown.attributes:
        if attribute.sub_attributes:
            attribute.sub_attributes = _without_forgotten(attribute.sub_attributes)
    return shown


def document_of(model: type[scim2_models.Resource[Any]] | type[scim2_models.Extension]) -> scim2_models.Schema:
    """The schema of a model, with our differences."""
    document = model.to_schema()
    for attribute in document.attributes or []:
        for sub in attribute.sub_attributes or []:
            for characteristic, value in _KEPT_DIFFERENTLY.get(f"{attribute.name}.{sub.name}", {}).items():
                kept = scim2_models.Required(value) if characteristic == "required" else value
                setattr(sub, characteristic, kept)
    return document


def _without_forgotten(attributes: Iterable[scim2_models.Attribute]) -> list[scim2_models.Attribute]:
    return [attribute for attribute in attributes if attribute.returned is not Returned.never]


def _attributes(declared: Iterable[scim2_models.Attribute] | None) -> dict[str, Attribute]:
    return {read.name.lower(): read for read in map(_attribute, declared or ())}


def _attribute(declared: scim2_models.Attribute) -> Attribute:
    return Attribute(
        name=declared.name or "",
        kind=Kind((declared.type or type_of.string).value),
        multi_valued=bool(declared.multi_valued),
        required=bool(declared.required),
        case_exact=bool(declared.case_exact),
        mutability=declared.mutability,
        returned=declared.returned,
        subs=_attributes(declared.sub_attributes),
    )


# RFC 7643 §3.1; `schemas` is written by us from what the resource has.
_READ_ONLY: dict[str, Any] = {"mutability": Mutability.read_only}
COMMON = {
    "schemas": Attribute(
        name="schemas", kind=Kind.REFERENCE, multi_valued=True, case_exact=True, returned=Returned.always, **_READ_ONLY
    ),
    "id": Attribute(name="id", case_exact=True, returned=Returned.always, **_READ_ONLY),
    "externalid": Attribute(name="externalId", case_exact=True),
    "meta": Attribute(
        name="meta",
        kind=Kind.COMPLEX,
        **_READ_ONLY,
        subs={
            "resourcetype": Attribute(name="resourceType", case_exact=True, **_READ_ONLY),
            "created": Attribute(name="created", kind=Kind.DATE_TIME, **_READ_ONLY),
            "lastmodified": Attribute(name="lastModified", kind=Kind.DATE_TIME, **_READ_ONLY),
            "location": Attribute(name="location", kind=Kind.REFERENCE, case_exact=True, **_READ_ONLY),
            "version": Attribute(name="version", case_exact=True, **_READ_ONLY),
        },
    ),
}

USER_SCHEMA = document_of(scim2_models.User)
ENTERPRISE_SCHEMA = document_of(scim2_models.EnterpriseUser)
GROUP_SCHEMA = document_of(scim2_models.Group)

ENTERPRISE = str(ENTERPRISE_SCHEMA.id)
USER = ResourceType(
    "User",
    "/Users",
    str(USER_SCHEMA.id),
    COMMON | _attributes(USER_SCHEMA.attributes),
    {ENTERPRISE: _attributes(ENTERPRISE_SCHEMA.attributes)},
)
GROUP = ResourceType("Group", "/Groups", str(GROUP_SCHEMA.id), COMMON | _attributes(GROUP_SCHEMA.attributes))

RESOURCE_TYPES = (USER, GROUP)
