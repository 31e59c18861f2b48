"""The small application in every local pod: it takes publishes and hands them to its sidecar.

Run as ``python -m tidegate_lab.fleet.app PUBLISH_PORT``; listens on a free loopback port and prints
it in one JSON line. Standard library only, so that it starts quickly. It has no part in drains:
SIGTERM ends it at once, with whatever it has in flight.
"""

from __future__ import annotations

import http.client
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tidegate.contract.names import PATH_PUBLISH

SIDECAR_TIMEOUT_S = 5.0


class App(ThreadingHTTPServer):
    """One thread per connection, so that several publishes are in flight."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, publish_port: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.publish_port = publish_port


class Handler(BaseHTTPRequestHandler):
    """Relays a publish to the sidecar and its answer back."""

    protocol_version = "HTTP/1.1"
    server: App

    def do_POST(self) -> None:
        """Relay; 502 when the sidecar cannot be reached, so that the caller tries elsewhere."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            status, answer = self._relay(body)
        except (OSError, http.client.HTTPException):
            status, answer = 502, b'{"error":"no_sidecar"}'
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _relay(self, body: bytes) -> tuple[int, bytes]:
        port = self.server.publish_port
        sidecar = http.client.HTTPConnection("127.0.0.1", port, timeout=SIDECAR_TIMEOUT_S)
        try:
            sidecar.request("POST", PATH_PUBLISH, body, {"Content-Type": "application/json"})
            response = sidecar.getresponse()
            return response.status, response.read()
        finally:
            sidecar.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Log nothing: one line per publish is noise."""


def main() -> None:
    """Serve until killed."""
    app = App(int(sys.argv[1]))
    sys.stdout.write(json.dumps({"event": "listening", "port": app.server_port}) + "\n")
    sys.stdout.flush()
    app.serve_forever()


if __name__ == "__main__":
    main()
