"""A SCIM error: what the caller did wrong and can do about it, in the words of RFC 7644 §3.12."""

from typing import Any

ERROR_URN = "urn:ietf:params:scim:api:messages:2.0:Error"


class ScimError(Exception):
    """The only exception this package raises on anything that came from outside.

    The detail never repeats a value that was sent: it may be personal.
    """

    def __init__(self, status: int, scim_type: str | None, detail: str) -> None:
        super().__init__(status, scim_type, detail)
        self.status = status
        self.scim_type = scim_type
        self.detail = detail

    def within(self, place: str) -> "ScimError":
        """The same error, saying where it happened."""
        return ScimError(self.status, self.scim_type, f"{place}: {self.detail}")


def error_body(error: ScimError) -> dict[str, Any]:
    """The JSON answer. RFC 7644 §3.12: the status is a string."""
    body: dict[str, Any] = {"schemas": [ERROR_URN], "status": str(error.status)}
    if error.scim_type is not None:
        body["scimType"] = error.scim_type
    return {**body, "detail": error.detail}


def invalid_filter(detail: str) -> ScimError:
    return ScimError(400, "invalidFilter", detail)


def invalid_path(detail: str) -> ScimError:
    return ScimError(400, "invalidPath", detail)


def invalid_syntax(detail: str) -> ScimError:
    return ScimError(400, "invalidSyntax", detail)


def invalid_value(detail: str) -> ScimError:
    return ScimError(400, "invalidValue", detail)


def mutability(detail: str) -> ScimError:
    return ScimError(400, "mutability", detail)


def no_target(detail: str) -> ScimError:
    return ScimError(400, "noTarget", detail)


def not_found(detail: str) -> ScimError:
    return ScimError(404, None, detail)


def too_large(detail: str) -> ScimError:
    return ScimError(413, None, detail)
