"""Notes are those of C2SP and of Go's library: the same bytes, and nobody's signature but the signer's is believed."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.evidence.checkpoints import Checkpoint, CheckpointWrong, parse_checkpoint
from domain.evidence.notes import (
    COSIGNATURE,
    ED25519,
    MOST_SIGNATURES,
    Note,
    NoteWrong,
    PublicKey,
    Signature,
    Signed,
    cosign,
    open_note,
    parse_key,
    parse_note,
    sign,
)
from tests.domain.evidence.signing import Signer, verifies
from tests.evidence_vectors import vectors

VECTORS = vectors("notes")
GO = VECTORS["go"]
KEYS = [parse_key(each["vkey"]) for each in GO["keys"]]
SIGNED = f"{GO['text']}\n{''.join(each['line'] for each in GO['keys'])}"
LOG, WITNESS = Signer("example.com/log"), Signer("witness.example.com", COSIGNATURE)


def test_keys_are_written_as_go_writes_them() -> None:
    for key, told in zip(KEYS, GO["keys"], strict=True):
        assert key.text == told["vkey"]
        assert key.kind == ED25519


def test_what_go_signed_is_verified() -> None:
    opened = open_note(SIGNED.encode(), KEYS, verifies)
    assert opened.text == GO["text"]
    assert opened.by == tuple(Signed(key, None) for key in KEYS)
    assert str(parse_note(SIGNED.encode())) == SIGNED


def test_what_we_sign_is_what_go_signs() -> None:
    private = base64.b64decode(GO["signer"]["private"])[1:]
    signer = Signer(GO["signer"]["name"], ED25519, private)
    assert signer.key == KEYS[0]
    assert signer.sign(GO["text"]).line == GO["keys"][0]["line"]


def test_the_specifications_examples_are_read_as_they_are_written() -> None:
    for example in (VECTORS["signed_note"], VECTORS["checkpoint"]["note"]):
        assert str(parse_note(example.encode())) == example
    assert parse_note(VECTORS["signed_note"].encode()).text.endswith("\n\ned è subito sera.\n")
    wanted = VECTORS["checkpoint"]
    note = parse_note(wanted["note"].encode())
    checkpoint = parse_checkpoint(note.text)
    assert checkpoint == Checkpoint(wanted["origin"], wanted["size"], bytes.fromhex(wanted["root"]))
    assert checkpoint.text == note.text
    assert int.from_bytes(note.signatures[1].signature[:8], "big") == wanted["cosigned_at"]
    assert [len(each.signature) for each in note.signatures] == [64, 72]


def test_a_witness_says_when() -> None:
    text = Checkpoint("example.com/log", 7, bytes(32)).text
    note = Note(text, (LOG.sign(text), WITNESS.sign(text, 1_700_000_000)))
    opened = open_note(str(note).encode(), [LOG.key, WITNESS.key], verifies)
    assert opened.by == (Signed(LOG.key, None), Signed(WITNESS.key, 1_700_000_000))
    later = note.signatures[1]._replace(signature=(1_700_000_001).to_bytes(8, "big") + note.signatures[1].signature[8:])
    with pytest.raises(NoteWrong, match=r"signature of witness\.example\.com does not hold"):
        open_note(str(Note(text, (note.signatures[0], later))).encode(), [LOG.key, WITNESS.key], verifies)


def test_unknown_keys_are_nobody() -> None:
    assert [each.key for each in open_note(SIGNED.encode(), KEYS[1:], verifies).by] == KEYS[1:]
    with pytest.raises(NoteWrong, match="no key that is trusted"):
        open_note(SIGNED.encode(), [LOG.key], verifies)
    with pytest.raises(NoteWrong, match="no key that is trusted"):
        open_note(SIGNED.encode(), [], verifies)
    other_id = PublicKey(KEYS[0].name, COSIGNATURE, KEYS[0].public)
    with pytest.raises(NoteWrong, match="no key that is trusted"):
        open_note(SIGNED.encode(), [other_id], verifies)


def test_a_known_keys_wrong_signature_spoils_the_note() -> None:
    text = "a text\n"
    forged = Signature(LOG.key.name, LOG.key.id, WITNESS.sign("another\n").signature[:64])
    other = Signer("example.com/other")
    note = str(Note(text, (other.sign(text), forged))).encode()
    assert open_note(note, [other.key], verifies).by == (Signed(other.key, None),)
    with pytest.raises(NoteWrong, match=r"signature of example\.com/log does not hold"):
        open_note(note, [other.key, LOG.key], verifies)


def test_nobody_signs_twice() -> None:
    text = "a text\n"
    twice = str(Note(text, (LOG.sign(text), LOG.sign(text)))).encode()
    with pytest.raises(NoteWrong, match="signed twice"):
        open_note(twice, [LOG.key], verifies)


def test_a_newer_signature_takes_the_older_ones_place() -> None:
    text = "a text\n"
    first = Note(text, (LOG.sign(text), WITNESS.sign(text, 1)))
    again = first.signed_also([WITNESS.sign(text, 2)])
    assert [each.time for each in open_note(str(again).encode(), [LOG.key, WITNESS.key], verifies).by] == [None, 2]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+12345678",
        "name+12345678+",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n",
        "PeterNeumann+c74f20a3+é",
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(NoteWrong):
        parse_key(text)


LINE = GO["keys"][0]["line"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"text\n",
        b"text\n\n",
        GO["text"].encode() + LINE.encode(),
        f"text\n\n{LINE}"[:-1].encode(),
        f"text\n\n{LINE}\n".encode(),
        f"text\n\n{LINE}more\n".encode(),
        f"te\txt\n\n{LINE}".encode(),
        f"text\r\n\n{LINE}".encode(),
        f"te\0xt\n\n{LINE}".encode(),
        b"te\xffxt\n\n" + LINE.encode(),
        f"text\n\n{LINE.replace('—', '-')}".encode(),
        "text\n\n— PeterNeumann\n".encode(),
        "text\n\n— PeterNeumann \n".encode(),
        "text\n\n— PeterNeumann AAAA\n".encode(),
        "text\n\n— Peter+Neumann AAAAAAAA\n".encode(),
        "text\n\n— PeterNeumann AAAAAAB=\n".encode(),
        ("text\n\n" + LINE * (MOST_SIGNATURES + 1)).encode(),
        b"x" * 100_001,
    ],
)
def test_what_is_no_note_is_refused(data: bytes) -> None:
    with pytest.raises(NoteWrong):
        parse_note(data)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "log\n7\n",
        "log\n7\nAAAA",
        "\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "log\n07\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "log\n-7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "log\n+7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "log\n\u0667\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "log\n9223372036854775808\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n",
        "log\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n",
        "log\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==\n",
        "log\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n",
        "log\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "log\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(CheckpointWrong):
        parse_checkpoint(text)


def test_a_checkpoint_may_say_more() -> None:
    text = "log\n0\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nmore\n"
    assert parse_checkpoint(text) == Checkpoint("log", 0, bytes(32), ("more",))
    assert parse_checkpoint(text).text == text


LINES = st.sampled_from([LINE, "\n", "— ", "log\n", "7\n", "AAAA", "\N{EM DASH} a AAAAAAAA\n", "\x00", "é", "\ud800"])


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.lists(LINES, max_size=12).map(lambda each: "".join(each).encode("utf-8", "surrogatepass")),
    )
)
def test_whatever_comes_is_a_note_or_none(data: bytes) -> None:
    try:
        note = parse_note(data)
    except NoteWrong:
        return
    assert str(note).encode() == data
    try:
        assert parse_checkpoint(note.text).text == note.text
    except CheckpointWrong:
        return


def test_each_signs_with_its_own_kind() -> None:
    with pytest.raises(ValueError, match="kind 1"):
        sign("text\n", WITNESS.key, bytes)
    with pytest.raises(ValueError, match="kind 4"):
        cosign("text\n", 1, LOG.key, bytes)
