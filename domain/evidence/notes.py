"""Signed notes: a text and who signed it, as C2SP signed-note says; witnesses sign as C2SP tlog-cosignature says."""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

Verifies = Callable[[bytes, bytes, bytes], bool]
"""Whether an Ed25519 signature holds: `verifies(public, message, signature)`, with 32 and 64 bytes. Never raises."""
Signs = Callable[[bytes], bytes]
"""Signs a message with Ed25519: 64 bytes."""

ED25519: Final = 1
COSIGNATURE: Final = 4
"""The kinds of keys: a log's own, and a witness's, whose signatures carry their time."""
MOST_BYTES: Final = 100_000
MOST_SIGNATURES: Final = 64
_DASH: Final = "\N{EM DASH} "


class NoteWrong(Exception):
    """Bytes are no note, a text is no key, or a signature does not hold; the message says which."""


class PublicKey(NamedTuple):
    """A key that notes are verified with. Its text is a C2SP *vkey*."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        """Four bytes that say which key a signature is of; they prove nothing."""
        told = self.name.encode() + b"\n" + bytes((self.kind,)) + self.public
        return hashlib.sha256(told).digest()[:4]

    @property
    def text(self) -> str:
        """`name+id+key`, as people exchange it."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes((self.kind,)) + self.public).decode()}"


class Signature(NamedTuple):
    """One line below a note: the key's name and id, and what it signed with (after a time, for a cosignature)."""

    name: str
    id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        return f"{_DASH}{self.name} {base64.b64encode(self.id + self.signature).decode()}\n"


class Note(NamedTuple):
    """A text, which ends in a newline, and the signatures below it, which nobody has verified yet."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(each.line for each in self.signatures)}"

    def signed_also(self, signatures: Iterable[Signature]) -> "Note":
        """With more signatures; one of a key that signed already takes the place of the older one."""
        all_of_them = {(each.name, each.id): each for each in (*self.signatures, *signatures)}
        return Note(self.text, tuple(all_of_them.values()))


class Signed(NamedTuple):
    """A key whose signature on a note holds."""

    key: PublicKey
    time: int | None
    """When, in seconds since 1970, as a witness says it; None for a log's own signature."""


class Opened(NamedTuple):
    """A note's text, and the known keys that signed it."""

    text: str
    by: tuple[Signed, ...]


def parse_key(text: str) -> PublicKey:
    """Of a vkey, Ed25519's or a witness's. Raises NoteWrong."""
    name, _, rest = text.partition("+")
    id, _, encoded = rest.partition("+")
    told = _decoded(encoded)
    if not is_name(name) or told is None or len(told) != 33 or told[0] not in (ED25519, COSIGNATURE):
        raise NoteWrong("a public key is written name+id+key, with an Ed25519 key of kind 1 or 4")
    key = PublicKey(name, told[0], told[1:])
    if key.id.hex() != id:
        raise NoteWrong("the public key's id is not that of its name and key: it was copied wrongly")
    return key


def is_name(name: str) -> bool:
    """Whether a key, and so a log or a witness, may be called so."""
    return 0 < len(name) <= 255 and "+" not in name and not any(each.isspace() or each < " " for each in name)


def parse_note(data: bytes) -> Note:
    """Raises NoteWrong for what is no signed note."""
    if len(data) > MOST_BYTES:
        raise NoteWrong(f"a note has at most {MOST_BYTES} bytes")
    try:
        whole = data.decode()
    except UnicodeDecodeError:
        raise NoteWrong("the note is not UTF-8") from None
    if any(each < " " and each != "\n" for each in whole):
        raise NoteWrong("the note has control characters")
    end = whole.rfind("\n\n")
    if end < 0 or not whole.endswith("\n"):
        raise NoteWrong("a note is a text, an empty line and lines with signatures")
    lines = whole[end + 2 : -1].split("\n")
    if not 0 < len(lines) <= MOST_SIGNATURES:
        raise NoteWrong(f"a note has 1 to {MOST_SIGNATURES} signatures")
    return Note(whole[: end + 1], tuple(_parse_line(each) for each in lines))


def sign(text: str, key: PublicKey, signs: Signs) -> Signature:
    """A log's own signature; `key` is of kind ED25519."""
    if key.kind != ED25519:
        raise ValueError("a log signs with a key of kind 1")
    return Signature(key.name, key.id, signs(text.encode()))


def cosign(text: str, time: int, key: PublicKey, signs: Signs) -> Signature:
    """A witness's signature at a time in seconds since 1970; `key` is of kind COSIGNATURE."""
    if key.kind != COSIGNATURE:
        raise ValueError("a witness signs with a key of kind 4")
    return Signature(key.name, key.id, time.to_bytes(8, "big") + signs(_cosigned(text, time)))


def verify_signature(text: str, signature: Signature, key: PublicKey, verifies: Verifies) -> Signed:
    """That this key made this signature. Raises NoteWrong."""
    if (signature.name, signature.id) != (key.name, key.id):
        raise NoteWrong(f"the signature is not of the key {key.name}")
    if key.kind == ED25519:
        time, message, made = None, text.encode(), signature.signature
    else:
        time, made = int.from_bytes(signature.signature[:8], "big"), signature.signature[8:]
        message = _cosigned(text, time)
    if len(made) != 64 or (time or 0) >= 1 << 63 or not verifies(key.public, message, made):
        raise NoteWrong(f"the signature of {key.name} does not hold")
    return Signed(key, time)


def open_note(data: bytes, known: Sequence[PublicKey], verifies: Verifies) -> Opened:
    """The text, if at least one known key signed it and every known key's signature holds. Raises NoteWrong."""
    note = parse_note(data)
    keys = {(each.name, each.id): each for each in known}
    by: dict[PublicKey, Signed] = {}
    for signature in note.signatures:
        key = keys.get((signature.name, signature.id))
        if key is None:
            continue
        if key in by:
            raise NoteWrong(f"the note is signed twice by {key.name}")
        by[key] = verify_signature(note.text, signature, key, verifies)
    if not by:
        raise NoteWrong("no key that is trusted signed the note")
    return Opened(note.text, tuple(by.values()))


def _cosigned(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _parse_line(line: str) -> Signature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    told = _decoded(encoded)
    if not line.startswith(_DASH) or not space or not is_name(name) or told is None or len(told) < 5:
        raise NoteWrong("a signature's line is a dash, a name and base64")
    return Signature(name, told[:4], told[4:])


def _decoded(text: str) -> bytes | None:
    """Of base64 as it is written in one way only."""
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return found if base64.b64encode(found).decode() == text else None
