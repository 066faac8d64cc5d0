"""An outside schema registry: every schema of ours registered there, and its ids in the values that others read.

What is stored, hashed and proved has our ids; a record's value has theirs only in Kafka, and the header
`muniment-schema` says ours, so that our readers need no registry to read it back.
"""

import json
import ssl
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import httpx
import msgspec

from adapters.kafka.headers import SCHEMA
from schemas.registry import Schema, published

LEVEL: Final = "FULL_TRANSITIVE"
_MAGIC: Final = b"\x00"
_MEDIA_TYPE: Final = "application/vnd.schemaregistry.v1+json"
_MOST_BYTES: Final = 1 << 20
_WAITS: Final = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts; the last again and again."""
_NO_SUBJECT, _NO_SCHEMA, _MOST_ID = 40401, 40403, (1 << 31) - 1
_CREDENTIALS: Final = (
    "set MUNIMENT_SCHEMA_REGISTRY_USER and MUNIMENT_SCHEMA_REGISTRY_PASSWORD to credentials that may read and "
    "register the subjects muniment.*"
)


class OutsideRegistryError(Exception):
    """The registry can't be used; the message says what to set or do, and holds no secret."""


class OutsideRegistry(msgspec.Struct, frozen=True):
    """Where it is, and as whom we register."""

    url: str
    """Without credentials."""
    user: str | None = None
    password: str | None = None
    ca_file: str | None = None
    """PEM; None trusts the system's."""

    def __repr__(self) -> str:
        return f"OutsideRegistry({self.url!r})"


def outside_registry(
    url: str, user: str | None = None, password: str | None = None, ca_file: str | None = None
) -> OutsideRegistry:
    """From MUNIMENT_SCHEMA_REGISTRY, …_USER, …_PASSWORD and …_CA_FILE; the URL may hold the credentials instead."""
    wrong = "MUNIMENT_SCHEMA_REGISTRY must be like https://registry.example:8081, with a path at most"
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise OutsideRegistryError(wrong) from None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise OutsideRegistryError(wrong)
    if parts.username is not None:
        if user or password:
            raise OutsideRegistryError(
                "name the registry's credentials once: in MUNIMENT_SCHEMA_REGISTRY, or in "
                "MUNIMENT_SCHEMA_REGISTRY_USER and MUNIMENT_SCHEMA_REGISTRY_PASSWORD"
            )
        user, password = unquote(parts.username), unquote(parts.password or "")
    if bool(user) != bool(password):
        raise OutsideRegistryError(
            "set both MUNIMENT_SCHEMA_REGISTRY_USER and MUNIMENT_SCHEMA_REGISTRY_PASSWORD, or neither"
        )
    address = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    plain = urlunsplit((parts.scheme, address, parts.path.rstrip("/"), "", ""))
    return OutsideRegistry(plain, user or None, password or None, ca_file or None)


class Swap:
    """Our ids and theirs."""

    __slots__ = ("_frames", "ids")

    def __init__(self, ids: dict[int, int]) -> None:
        self.ids = ids
        """Theirs by ours."""
        self._frames = {_frame(ours): _frame(theirs) for ours, theirs in ids.items()}

    def swap_out(self, stored: bytes) -> bytes:
        """The value that goes to Kafka, with `headers.schema_header`. Raises KeyError for no schema of ours."""
        return self._frames[stored[:5]] + stored[5:]

    @staticmethod
    def swap_in(value: bytes, schema: bytes | None) -> bytes:
        """The stored bytes of a record's value and its `muniment-schema`, which is None where nothing was swapped.

        It needs no registry: also what was written while there was one is read when there is none any more. Raises
        ValueError for a header that is no id; whether the bytes are what was stored, their hash tells.
        """
        if schema is None:
            return value
        if not schema.isdigit() or len(schema) > 10 or (number := int(schema)) > _MOST_ID or len(value) < 5:
            raise ValueError(f"the record's {SCHEMA} is not the id of a schema, or its value has none")
        return _frame(number) + value[5:]


def register_all(registry: OutsideRegistry, schemas: Iterable[Schema] | None = None, *, patience: float = 60.0) -> Swap:
    """Register what is not there yet, each record under its full name, and learn all ids; blocks.

    May be done by several nodes at once, and again at each start. With everything there already it only reads.
    A registry that does not answer is asked again for `patience` seconds. Raises OutsideRegistryError.
    """
    deadline = time.monotonic() + patience
    with _Session(registry, deadline) as session:
        wanted = sorted(published() if schemas is None else schemas, key=lambda each: each.id)
        ids = {each.id: _id_of(session, each) for each in wanted}
    if len(set(ids.values())) < len(ids):
        raise OutsideRegistryError(
            "the schema registry gave two schemas the same id; set MUNIMENT_SCHEMA_REGISTRY to a registry that tells "
            "schemas apart that differ in anything"
        )
    return Swap(ids)


def _id_of(session: "_Session", schema: Schema) -> int:
    subject = quote(schema.full_name, safe="")
    body = {"schema": schema.text, "schemaType": "AVRO"}
    found = session.ask("POST", f"/subjects/{subject}", body, absent=(_NO_SUBJECT, _NO_SCHEMA))
    if found is None:
        session.ask("PUT", f"/config/{subject}", {"compatibility": LEVEL})
        found = session.ask("POST", f"/subjects/{subject}/versions", body) or {}
    number = found.get("id")
    if not isinstance(number, int) or isinstance(number, bool) or not 0 < number <= _MOST_ID:
        raise _no_registry()
    return number


class _Session:
    """Asks, and asks again while the registry is away."""

    def __init__(self, registry: OutsideRegistry, deadline: float) -> None:
        self._deadline = deadline
        auth = httpx.BasicAuth(registry.user, registry.password) if registry.user and registry.password else None
        try:
            trusted = ssl.create_default_context(cafile=registry.ca_file)
        except (OSError, ssl.SSLError):
            raise OutsideRegistryError(
                "MUNIMENT_SCHEMA_REGISTRY_CA_FILE can't be read: name a PEM file with the certificates to trust"
            ) from None
        # The environment is not asked: a .netrc or a proxy would be told credentials that it was not given.
        self._client = httpx.Client(
            base_url=registry.url,
            auth=auth,
            headers={"Accept": _MEDIA_TYPE, "Content-Type": _MEDIA_TYPE},
            timeout=10.0,
            trust_env=False,
            verify=trusted,
        )

    def __enter__(self) -> "_Session":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(
        self, method: str, path: str, body: dict[str, str], *, absent: tuple[int, ...] = ()
    ) -> dict[str, Any] | None:
        """The answer; None if it is one of the errors `absent`."""
        why = ""
        for wait in _waits():
            try:
                status, said = self._once(method, path, body)
            except httpx.RequestError as problem:
                why = type(problem).__name__
            else:
                if status == 200:
                    return said
                if said.get("error_code") in absent:
                    return None
                if status != 429 and status < 500:
                    raise _refused(status, said.get("error_code"), path)
                why = f"status {status}"
            if time.monotonic() + wait > self._deadline:
                break
            time.sleep(wait)
        raise OutsideRegistryError(
            f"the schema registry does not answer ({why}): start it, or set MUNIMENT_SCHEMA_REGISTRY to one that does, "
            "or to nothing for values with our own ids"
        )

    def _once(self, method: str, path: str, body: dict[str, str]) -> tuple[int, dict[str, Any]]:
        with self._client.stream(method, path, content=json.dumps(body)) as response:
            answer = b""
            for piece in response.iter_bytes():
                answer += piece
                if len(answer) > _MOST_BYTES:
                    raise _no_registry()
        try:
            said = json.loads(answer)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            if response.status_code == 200:
                raise _no_registry()
            said = {}
        return response.status_code, said


def _waits() -> Iterator[float]:
    yield from _WAITS
    while True:
        yield _WAITS[-1]


def _refused(status: int, code: object, path: str) -> OutsideRegistryError:
    subject = unquote(path.split("/")[2])
    if status in (401, 403):
        return OutsideRegistryError(f"the schema registry refuses these credentials ({status}): {_CREDENTIALS}")
    if status == 409:
        return OutsideRegistryError(
            f"the schema registry holds under {subject} what ours can't stand beside (409): use a registry, or a "
            "context of one, in which nobody else registers muniment.*"
        )
    if code == 42205:
        return OutsideRegistryError(
            "the schema registry is read only (42205): let it take registrations while a new release of Muniment "
            "starts for the first time"
        )
    if 300 <= status < 400:
        return OutsideRegistryError(
            f"the schema registry sends us elsewhere ({status}): set MUNIMENT_SCHEMA_REGISTRY to its final address"
        )
    told = f", error {code}" if isinstance(code, int) else ""
    return OutsideRegistryError(
        f"the schema registry refuses {subject} (status {status}{told}): see that MUNIMENT_SCHEMA_REGISTRY is the base "
        "address of a registry that takes Avro schemas"
    )


def _no_registry() -> OutsideRegistryError:
    return OutsideRegistryError(
        "what answers at MUNIMENT_SCHEMA_REGISTRY is no schema registry: set it to the address below which /subjects is"
    )


def _frame(schema: int) -> bytes:
    return _MAGIC + schema.to_bytes(4, "big")
