"""The departures from RFC 7643 and 7644 that are accepted because identity providers send them, each with a name."""

from enum import StrEnum

from adapters.scim.errors import ScimError


class Leniency(StrEnum):
    """One rule each; the comment says what is refused, or ignored, without it."""

    OPERATION_CASE = "operation-case"
    """`"op": "Replace"`. Without it: invalidSyntax."""

    STRING_BOOLEAN = "string-boolean"
    """`"active": "False"`, and `primary eq "True"`; only where the schema has a boolean. Without it: invalidValue."""

    REMOVE_LISTED_VALUES = "remove-listed-values"
    """`remove` of `members` with a value removes only those listed. Without it: invalidValue, never a cleared list."""

    PATH_AS_KEY = "path-as-key"
    """`name.givenName`, or a URN with an attribute, as a key of an object. Without it: invalidPath."""

    CREATE_MISSING_ENTRY = "create-missing-entry"
    """`emails[type eq "work"].value` when there is no such entry makes one. Without it: noTarget."""

    KEEP_SELECTOR = "keep-selector"
    """A replaced entry keeps what its filter selected it by, when the new value does not say. Without it: lost."""

    BARE_VALUE = "bare-value"
    """`"manager": "123"` for `{"value": "123"}`. Without it: invalidValue."""

    SINGLE_FOR_LIST = "single-for-list"
    """One value where the schema has a list. Without it: invalidValue."""

    JSON_IN_STRING = "json-in-string"
    """A role whose value is an object written as a string. Without it: kept as that string."""

    UNQUOTED_LITERAL = "unquoted-literal"
    """`externalId eq jyoung`. Without it: invalidFilter."""

    UNKNOWN_SCHEMA = "unknown-schema"
    """A schema URI, or an extension, that the resource type does not have, is ignored. Without it: invalidSyntax."""

    UNKNOWN_ATTRIBUTE = "unknown-attribute"
    """An attribute that the schema does not have is ignored. Without it: invalidSyntax."""

    READ_ONLY_IN_VALUE = "read-only-in-value"
    """`id` inside the value of a PATCH without path is ignored. Without it: mutability."""

    PASSWORD_DROPPED = "password-dropped"  # noqa: S105 (a name, no secret)
    """A password is taken off and forgotten. Without it: invalidValue."""

    MISSING_SCHEMAS = "missing-schemas"
    """A body whose `schemas` does not name what it is. Without it: invalidSyntax."""


EVERY_LENIENCY = frozenset(Leniency)


class Tolerance:
    """What one request may depart in, and, afterwards, in what it did."""

    def __init__(self, allowed: frozenset[Leniency] = EVERY_LENIENCY) -> None:
        self.allowed = allowed
        self.used: set[Leniency] = set()

    def permits(self, rule: Leniency) -> bool:
        """Asked only at the moment the rule is needed: a yes is recorded as its use."""
        if rule not in self.allowed:
            return False
        self.used.add(rule)
        return True

    def need(self, rule: Leniency, otherwise: ScimError) -> None:
        if not self.permits(rule):
            raise otherwise
