"""A user between SCIM's resource and our columns: each value in one place, and recomposed exactly as it was sent.

User name, external id, display name, given and family name and one e-mail address have columns of their own; all the
rest of the resource is JSON in `attributes`. There the list of addresses has null where the column's value belongs, and
`active` is null if a client took it away. What others wrote into `attributes` that SCIM has no name for stays there.
"""

import json
from typing import Any, Final

import msgspec

from adapters.scim.errors import ScimError, too_large
from adapters.scim.leniency import Tolerance
from adapters.scim.resources import MAX_SIZE, schemas_of
from adapters.scim.schema import USER, Attribute
from adapters.scim.values import canonical
from api.acting import Acting
from api.users import compared
from domain.directory.unique import Unique
from domain.directory.users import Profile
from domain.ids import DirectoryId, UserId
from projections.directory import UserRow

Resource = dict[str, Any]
_COLUMNS: Final = {"schemas", "userName", "externalId", "displayName", "active"}
_NAME_COLUMNS: Final = {"givenName", "familyName"}


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A user in the clear, as the columns have it."""

    user_name: str
    external_id: str | None
    display_name: str | None
    given_name: str | None
    family_name: str | None
    email: str | None
    attributes: str | None
    active: bool


PROFILE: Final = Profile.__struct_fields__


def decompose(resource: Resource, foreign: Resource | None = None) -> Person:
    """The columns of a canonical resource; `foreign` is what SCIM has no name for. Without `active` a user is so.

    Raises ScimError if it does not fit any more.
    """
    name = resource.get("name", {})
    email, emails = _email_taken(resource.get("emails", []))
    rest = {key: value for key, value in resource.items() if key not in _COLUMNS}
    rest["name"] = {part: value for part, value in name.items() if part not in _NAME_COLUMNS}
    rest["emails"] = [] if emails == [{"value": None}] else emails
    rest = {key: value for key, value in rest.items() if value not in ({}, [])}
    if "active" not in resource:
        rest["active"] = None
    return Person(
        user_name=resource["userName"],
        external_id=resource.get("externalId"),
        display_name=resource.get("displayName"),
        given_name=name.get("givenName"),
        family_name=name.get("familyName"),
        email=email,
        attributes=_text({**(foreign or {}), **rest}),
        active=resource.get("active", True),
    )


def recompose(person: Person) -> tuple[Resource, Resource]:
    """The canonical resource, and what SCIM has no name for. Total: `attributes` may hold what others wrote there."""
    sent = json.loads(person.attributes) if person.attributes else {}
    unassigned = "active" in sent and sent["active"] is None
    rest, foreign = _parted({**sent, "emails": _email_put(sent.get("emails"), person.email)})
    names = {"givenName": person.given_name, "familyName": person.family_name}
    columns = {
        "externalId": person.external_id,
        "userName": person.user_name,
        "name": {**rest.pop("name", {}), **{part: value for part, value in names.items() if value is not None}} or None,
        "displayName": person.display_name,
        "active": None if unassigned else person.active,
    }
    resource = {**{key: value for key, value in columns.items() if value is not None}, **rest}
    return {"schemas": schemas_of(resource, USER), **resource}, foreign


def opened(acting: Acting, row: UserRow) -> Person | None:
    """The row in the clear; None once the person is erased."""
    user_name = acting.open("user_name", row.user_name)
    if user_name is None:
        return None
    return Person(
        user_name=user_name,
        external_id=acting.open("external_id", row.external_id),
        **{field: acting.open(field, getattr(row, field)) for field in PROFILE},
        active=row.active,
    )


def user_name_of(acting: Acting, user: UserId, person: Person) -> Unique:
    return acting.unique(user, "user_name", person.user_name, compared(person.user_name))


def scope_of(directory: DirectoryId) -> str:
    """What sets the external ids of one directory's users apart from all others."""
    return f"@{directory}"


def external_id_of(acting: Acting, user: UserId, person: Person, directory: DirectoryId) -> Unique | None:
    value = person.external_id
    return None if value is None else acting.unique(user, "external_id", value, value, scope_of(directory))


def profile_of(acting: Acting, user: UserId, person: Person) -> Profile:
    return Profile(**{field: acting.seal_if(user, field, getattr(person, field)) for field in PROFILE})


def changed_profile(acting: Acting, row: UserRow, before: Person, after: Person) -> Profile | None:
    """The profile with what differs sealed anew; None if nothing does."""
    differs = [field for field in PROFILE if getattr(before, field) != getattr(after, field)]
    if not differs:
        return None
    kept = {field: getattr(row, field) for field in PROFILE}
    return Profile(**{**kept, **{field: acting.seal_if(row.user, field, getattr(after, field)) for field in differs}})


def _email_taken(emails: list[Resource]) -> tuple[str | None, list[Resource]]:
    """The value of the primary address, else of the first that has one; and the list with null in its place."""
    having = [place for place, entry in enumerate(emails) if "value" in entry]
    if not having:
        return None, emails
    chosen = next((place for place in having if emails[place].get("primary") is True), having[0])
    left = [{**entry, "value": None} if place == chosen else entry for place, entry in enumerate(emails)]
    return emails[chosen]["value"], left


def _email_put(emails: object, email: str | None) -> object:
    """The opposite. If there is no place for it, others have set it: it comes first."""
    entries = list(emails) if isinstance(emails, list) else []
    for place, entry in enumerate(entries):
        if isinstance(entry, dict) and "value" in entry and entry["value"] is None:
            entries[place] = {**entry, "value": email}
            return entries
    return entries if email is None else [{"value": email}, *entries]


def _parted(sent: Resource) -> tuple[Resource, Resource]:
    """What SCIM has a name and a form for, and the rest."""
    rest: Resource = {}
    foreign: Resource = {}
    for key, value in sent.items():
        kept = _canonical(key, value)
        if kept is not None:
            rest[key] = kept
        elif key not in _COLUMNS and key != "emails":
            foreign[key] = value
    return rest, foreign


def _canonical(key: str, value: object) -> Any:
    """The value as SCIM has it; None for what it has no name or no form for."""
    if key in _COLUMNS:
        return None
    try:
        if key in USER.extensions:
            return _extension(USER.extensions[key].values(), value)
        attribute = USER.attributes.get(key.lower())
        if attribute is None or attribute.name != key or attribute.is_read_only or attribute.is_forgotten:
            return None
        return canonical(attribute, value, Tolerance())
    except ScimError:
        return None


def _extension(attributes: Any, value: object) -> Resource | None:
    if not isinstance(value, dict):
        return None
    known: dict[str, Attribute] = {attribute.name: attribute for attribute in attributes}
    kept = {name: canonical(known[name], part, Tolerance()) for name, part in value.items() if name in known}
    return {name: part for name, part in kept.items() if part is not None} or None


def _text(rest: Resource) -> str | None:
    if not rest:
        return None
    text = json.dumps(rest, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    if len(text.encode()) > MAX_SIZE:
        raise too_large(f"the user's attributes must be at most {MAX_SIZE} bytes of JSON")
    return text
