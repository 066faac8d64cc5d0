"""A small witness: an HTTP server that does for the logs it knows what C2SP tlog-witness says of add-checkpoint."""

import base64
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from adapters.evidence.signing import new_private, public_of, signer, verifies
from domain.evidence.checkpoints import CheckpointWrong, parse_checkpoint
from domain.evidence.notes import COSIGNATURE, NoteWrong, PublicKey, cosign, open_note
from domain.evidence.proofs import ProofWrong, verify_consistency
from domain.evidence.tree import EMPTY_ROOT

MOST_PROOF = 63


class Answered(Exception):
    def __init__(self, status: int, body: bytes = b"", kind: str = "text/plain") -> None:
        super().__init__(status)
        self.status, self.body, self.kind = status, body, kind


class Witness:
    """`logs` are the keys it trusts, by origin; `seen` the last checkpoint of each that it cosigned."""

    def __init__(self, name: str) -> None:
        self._private = new_private()
        self.key = PublicKey(name, COSIGNATURE, public_of(self._private))
        self.signs = signer(self._private)
        self.logs: dict[str, list[PublicKey]] = {}
        self.seen: dict[str, tuple[int, bytes]] = {}
        self.statuses: list[int] = []
        self.signs_with: PublicKey | None = None
        """Another key's name and id, for a witness that cheats."""
        self.lock = threading.Lock()
        """Checking the old size and noting the new one is one step."""

    def add_checkpoint(self, body: bytes) -> bytes:
        """The cosignature's line, or raises Answered."""
        old, proof, note = _parsed(body)
        try:
            origin = note.decode().split("\n", 1)[0]
        except UnicodeDecodeError:
            raise Answered(400) from None
        if origin not in self.logs:
            raise Answered(404)
        try:
            opened = open_note(note, self.logs[origin], verifies)
        except NoteWrong:
            raise Answered(403) from None
        try:
            checkpoint = parse_checkpoint(opened.text)
        except CheckpointWrong:
            raise Answered(400) from None
        if old > checkpoint.size:
            raise Answered(400)
        with self.lock:
            size, root = self.seen.get(origin, (0, EMPTY_ROOT))
            if old != size or (size == checkpoint.size and size and root != checkpoint.root):
                raise Answered(409, f"{size}\n".encode(), "text/x.tlog.size")
            try:
                verify_consistency(old, root, checkpoint.size, checkpoint.root, proof)
            except ProofWrong:
                raise Answered(422) from None
            self.seen[origin] = (checkpoint.size, checkpoint.root)
        return cosign(opened.text, int(time.time()), self.signs_with or self.key, signer(self._private)).line.encode()


def _parsed(body: bytes) -> tuple[int, Sequence[bytes], bytes]:
    head, empty, note = body.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    word, _, number = first.partition(b" ")
    if not empty or word != b"old" or not number.isdigit() or number != str(int(number)).encode():
        raise Answered(400)
    if len(lines) > MOST_PROOF:
        raise Answered(400)
    try:
        proof = [base64.b64decode(each, validate=True) for each in lines]
    except ValueError:
        raise Answered(400) from None
    return int(number), proof, note


@contextmanager
def witnessing(witness: Witness) -> Iterator[str]:
    """Its submission prefix, for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            try:
                if self.path != "/witness/add-checkpoint":
                    raise Answered(404)
                answer = Answered(200, witness.add_checkpoint(body))
            except Answered as refused:
                answer = refused
            witness.statuses.append(answer.status)
            self.send_response(answer.status)
            self.send_header("content-type", answer.kind)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="witness")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/witness/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
