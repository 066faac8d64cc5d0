"""A receiver: a real HTTP server on this machine that keeps what it is sent and answers what a test wants."""

import json
import ssl
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from standardwebhooks import Webhook


class Sent(NamedTuple):
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes
    connection: int
    """The port of its connection's other end."""

    @property
    def says(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.body)
        return message

    def verify(self, secret: str) -> None:
        """As a stock receiver does; raises WebhookVerificationError."""
        Webhook(secret).verify(self.body, self.headers)


class Receiver:
    """`answers` are given one after another: a status, or a status and headers; then 204."""

    def __init__(self, server: ThreadingHTTPServer, scheme: str) -> None:
        self.sent: list[Sent] = []
        self.answers: deque[int | tuple[int, dict[str, str]]] = deque()
        self.otherwise = 204
        self.body = b""
        self.held = threading.Event()
        """While it is not set, nothing is answered."""
        self.held.set()
        self.most_at_once = self.at_once = 0
        self.port = server.server_port
        self.url = f"{scheme}://127.0.0.1:{self.port}/hooks"

    @property
    def positions(self) -> list[int]:
        return [each.says["position"] for each in self.sent]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever breaks the connection off means to."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver.at_once += 1
        receiver.most_at_once = max(receiver.most_at_once, receiver.at_once)
        receiver.sent.append(Sent(self.path, dict(self.headers), body, self.client_address[1]))
        receiver.held.wait(60)
        receiver.at_once -= 1
        answer = receiver.answers.popleft() if receiver.answers else receiver.otherwise
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(receiver.body)))
        self.end_headers()
        if status != 204:
            self.wfile.write(receiver.body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def receiving(trust: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver for as long as the block lasts; with `trust`, one that speaks TLS."""
    server = _Server(("127.0.0.1", 0), _Handler)
    if trust:
        server.socket = trust.wrap_socket(server.socket, server_side=True)
    server.receiver = receiver = Receiver(server, "https" if trust else "http")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.held.set()
        server.shutdown()
        thread.join()
        server.server_close()
