"""The application of the tests' workload: it takes publishes and hands them to its sidecar.

Runs in a container as process 1, where SIGTERM does nothing unless it is handled: like most
applications it knows nothing of drains and ends at once. Any GET says that it is well, until the
file `SICK` exists; only at `STARTED` it is well all the same, for whoever is sick has started.
"""

from __future__ import annotations

import http.client
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SIDECAR_TIMEOUT_S = 5.0
SICK = "/tmp/sick"
STARTED = "/started"


class Relay(ThreadingHTTPServer):
    """One thread per connection, so that several publishes are in flight."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, publish_port: int) -> None:
        super().__init__(("0.0.0.0", port), Handler)
        self.publish_port = publish_port


class Handler(BaseHTTPRequestHandler):
    """Relays a publish to the sidecar and its answer back."""

    protocol_version = "HTTP/1.1"
    server: Relay

    def do_GET(self) -> None:
        """Well, or not."""
        sick = self.path != STARTED and os.path.exists(SICK)
        self._answer(503 if sick else 200, b"{}")

    def do_POST(self) -> None:
        """Relay; 502 when the sidecar cannot be reached, so that the caller tries elsewhere."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            status, answer = self._relay(body)
        except (OSError, http.client.HTTPException):
            status, answer = 502, b'{"error":"no_sidecar"}'
        self._answer(status, answer)

    def _relay(self, body: bytes) -> tuple[int, bytes]:
        port = self.server.publish_port
        sidecar = http.client.HTTPConnection("127.0.0.1", port, timeout=SIDECAR_TIMEOUT_S)
        try:
            sidecar.request("POST", self.path, body, {"Content-Type": "application/json"})
            response = sidecar.getresponse()
            return response.status, response.read()
        finally:
            sidecar.close()

    def _answer(self, status: int, body: bytes) -> None:
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n"
        self.wfile.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing: one line per publish helps nobody."""


def main() -> None:
    """Serve until SIGTERM: ``relay.py PORT PUBLISH_PORT``."""
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))
    Relay(int(sys.argv[1]), int(sys.argv[2])).serve_forever()


if __name__ == "__main__":
    main()
