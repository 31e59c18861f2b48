"""An application that streams by itself and has never heard of Tidegate; standard library only.

``GET /events`` streams for ever and says which pod it is; ``POST /answer`` streams `PARTS` parts
and ends with ``[DONE]``, as servers of language models do. SIGTERM ends it at once.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PARTS = 40
EVERY_S = 0.25


class Handler(BaseHTTPRequestHandler):
    """One connection, on a thread of its own."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Stream for ever, or say that all is well."""
        if self.path != "/events":
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._begin()
        number = 0
        while True:
            self._part(f"event: tick\ndata: {os.environ['HOSTNAME']} {number}\n\n")
            number += 1
            time.sleep(EVERY_S)

    def do_POST(self) -> None:
        """Stream an answer that ends."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._begin()
        for number in range(PARTS):
            self._part(f"data: {number}\n\n")
            time.sleep(EVERY_S)
        self._part("data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _part(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Write nothing."""


class Server(ThreadingHTTPServer):
    """A thread per connection; a client that leaves is no error."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client has left."""


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    Server(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()
