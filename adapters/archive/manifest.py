"""A tenant's manifest: which files its archive is, what each must hold, and how far it reaches, which is its cursor."""

import hashlib
import re
from typing import Final

import msgspec

from domain.event import Instant
from domain.evidence.tree import Frontier
from domain.ids import TenantId

FORMAT: Final = 1
_NAME: Final = re.compile(r"year=[0-9]{4}/month=[0-9]{2}/[0-9]{12,19}-[0-9]{12,19}-[0-9a-f]{16}\.parquet")


class ManifestBroken(Exception):
    """The manifest is not what this program writes; the message says how."""


class Reached(msgspec.Struct, frozen=True):
    """How far a history goes, and what its tree is there."""

    last: int
    """The last position; 0 for none."""
    last_at: Instant
    root: str
    """RFC 6962, in hexadecimal, over all events up to `last`."""
    frontier: str
    """The roots of the tree's full subtrees, largest first, in hexadecimal."""
    leaf: str
    """The leaf hash of the event at `last`."""

    def tree(self) -> Frontier:
        return Frontier.unpack(self.last, bytes.fromhex(self.frontier))


NOTHING: Final = Reached(0, Instant(0), Frontier().root().hex(), "", "")


class ArchivedFile(msgspec.Struct, frozen=True):
    """One file: its name below the tenant's folder, its digest, and the events it holds, without a gap."""

    name: str
    sha256: str
    bytes: int
    first: int
    first_at: Instant
    until: Reached

    @property
    def last(self) -> int:
        return self.until.last

    @property
    def events(self) -> int:
        return self.until.last - self.first + 1

    @property
    def month(self) -> str:
        """Its folder."""
        return self.name.rpartition("/")[0]


class Leaving(msgspec.Struct, frozen=True):
    """A file that another has taken the place of, or that retention took; it is deleted a while after `since`."""

    name: str
    since: Instant


class CheckedTo(msgspec.Struct, frozen=True):
    """The archive was found to be the log up to `last`, at an instant."""

    last: int
    at: Instant


class Manifest(msgspec.Struct, frozen=True):
    """Replaced as a whole and never changed in place; `digest` is of everything else in it."""

    tenant: TenantId
    format: int = FORMAT
    revision: int = 0
    removed: Reached = NOTHING
    """What retention has removed, from the beginning of the history."""
    files: tuple[ArchivedFile, ...] = ()
    leaving: tuple[Leaving, ...] = ()
    checked: CheckedTo | None = None
    checkpoint: str | None = None
    """The newest signed checkpoint when this was written."""
    digest: str = ""

    @property
    def reached(self) -> Reached:
        """The cursor: what follows is not archived yet."""
        return self.files[-1].until if self.files else self.removed

    @property
    def first(self) -> int:
        """The first position that the files hold, or will hold."""
        return self.removed.last + 1

    def encode(self) -> bytes:
        """As it is stored, with its digest."""
        undated = msgspec.structs.replace(self, digest="")
        digest = hashlib.sha256(msgspec.json.encode(undated)).hexdigest()
        return msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(self, digest=digest))) + b"\n"


def key_of(tenant: TenantId) -> str:
    """Where a tenant's manifest is, below the archive's root."""
    return f"tenant={tenant}/manifest.json"


def file_key(tenant: TenantId, name: str) -> str:
    return f"tenant={tenant}/{name}"


def decode(tenant: TenantId, data: bytes) -> Manifest:
    """Raises ManifestBroken, also where a single byte is another than was written."""
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise ManifestBroken("the manifest can't be read") from None
    if manifest.format != FORMAT:
        raise ManifestBroken(f"the manifest has format {manifest.format}, this version reads format {FORMAT}")
    if manifest.tenant != tenant:
        raise ManifestBroken("the manifest is another tenant's")
    if manifest.encode() != data:
        raise ManifestBroken("the manifest is not as it was written")
    _must_be_dense(manifest)
    return manifest


def _must_be_dense(manifest: Manifest) -> None:
    before = manifest.removed
    for each in (before, *(file.until for file in manifest.files)):
        try:
            if each.tree().root().hex() != each.root:
                raise ManifestBroken(f"the tree at position {each.last} does not have the root that the manifest says")
        except ValueError:
            raise ManifestBroken(f"the tree at position {each.last} is not one of that many events") from None
    for file in manifest.files:
        if _NAME.fullmatch(file.name) is None:
            raise ManifestBroken("a file has a name that archives don't give")
        if file.first != before.last + 1 or file.last < file.first:
            raise ManifestBroken(f"no file begins at position {before.last + 1}")
        before = file.until
    for gone in manifest.leaving:
        if _NAME.fullmatch(gone.name) is None:
            raise ManifestBroken("a file has a name that archives don't give")
