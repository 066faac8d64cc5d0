"""What an answer shows: `attributes` and `excludedAttributes` over what the schema returns (RFC 7644 §3.9)."""

from collections.abc import Iterable, Mapping
from typing import Any

from scim2_models import Returned

from adapters.scim.errors import invalid_value
from adapters.scim.resources import schemas_of
from adapters.scim.schema import Attribute, ResourceType

_Chosen = dict[tuple[str | None, str | None], set[str] | None]
"""(extension, attribute) → the sub-attributes that were named, None for all of it."""


class Projection:
    """Resolved once, then used for every resource of a page; names that the resource type lacks are ignored."""

    def __init__(
        self,
        resource_type: ResourceType,
        attributes: Iterable[str] | None = None,
        excluded: Iterable[str] | None = None,
    ) -> None:
        self._type = resource_type
        self._only = _chosen(resource_type, attributes) if attributes else None
        self._without = _chosen(resource_type, excluded or ())
        if attributes and excluded:
            raise invalid_value("attributes and excludedAttributes exclude each other; send one of them")

    def returns(self, name: str) -> bool:
        """Whether any of a core attribute is in the answer, so that members need not be read to be left out."""
        attribute = self._type.attributes[name.lower()]
        return self._parts(None, attribute) != set()

    def apply(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        shown = self._shown(None, resource)
        for extension in self._type.extensions:
            parts = self._shown(extension, resource.get(extension, {}))
            if parts:
                shown[extension] = parts
        return {**shown, "schemas": schemas_of(shown, self._type)}

    def _shown(self, extension: str | None, holder: Mapping[str, Any]) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        attributes = self._type.attributes_of(extension)
        for name, value in holder.items():
            attribute = attributes.get(name.lower())
            if attribute is None:
                continue
            part = _cut(value, self._parts(extension, attribute))
            if part not in (None, {}, []):
                shown[name] = part
        return shown

    def _parts(self, extension: str | None, attribute: Attribute) -> set[str] | None:
        """The names of the sub-attributes to show; None for the value as it is, an empty set for nothing."""
        if attribute.returned is Returned.never:
            return set()
        shown = {sub.name for sub in attribute.subs.values() if sub.returned is not Returned.never}
        whole = None if len(shown) == len(attribute.subs) else shown
        if attribute.returned is Returned.always:
            return whole
        if self._only is not None:
            return self._asked(self._only, extension, attribute, whole)
        if attribute.returned is Returned.request:
            return set()
        return self._left(extension, attribute, whole, shown)

    @staticmethod
    def _asked(only: _Chosen, extension: str | None, attribute: Attribute, whole: set[str] | None) -> set[str] | None:
        if (extension, attribute.name) in only:
            named = only[extension, attribute.name]
            return whole if named is None else named
        # The URN of an extension asks for all of it, except what is only returned when it is named itself.
        in_extension = extension is not None and (extension, None) in only
        return whole if in_extension and attribute.returned is not Returned.request else set()

    def _left(
        self, extension: str | None, attribute: Attribute, whole: set[str] | None, shown: set[str]
    ) -> set[str] | None:
        if extension is not None and (extension, None) in self._without:
            return set()
        if (extension, attribute.name) not in self._without:
            return whole
        named = self._without[extension, attribute.name]
        return set() if named is None else shown - named


def project(
    resource: Mapping[str, Any],
    resource_type: ResourceType,
    attributes: Iterable[str] | None = None,
    excluded: Iterable[str] | None = None,
) -> dict[str, Any]:
    return Projection(resource_type, attributes, excluded).apply(resource)


def _chosen(resource_type: ResourceType, names: Iterable[str]) -> _Chosen:
    chosen: _Chosen = {}
    for name in names:
        path = resource_type.resolve(name.strip())
        if path is None:
            continue
        key = (path.extension, path.attribute.name if path.attribute else None)
        if path.sub is None:
            chosen[key] = None
        else:
            named = chosen.setdefault(key, set())
            if named is not None:
                named.add(path.sub.name)
    return chosen


def _cut(value: Any, parts: set[str] | None) -> Any:
    if parts is None:
        return value
    if isinstance(value, list):
        return [entry for entry in (_cut(entry, parts) for entry in value) if entry]
    return {name: part for name, part in value.items() if name in parts} if isinstance(value, Mapping) else None
