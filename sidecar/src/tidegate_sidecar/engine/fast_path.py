"""The first way in: what a connection is until its first bytes have come.

A stream's client sends one request, alone and whole, on a new connection, and after a crash or a
rollout very many of them do so at once. For these nothing of the web server is made: their head is
read here (by httptools, which the web server reads with too), the door decides, and the connection
becomes a `Stream`. Whatever is not that plain, or not whole in the first bytes, goes to
`HttpProtocol` with every byte of it, as if this module did not exist.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httptools

from tidegate.stream.requests import StreamRequest, is_stream_path
from tidegate_process.limits import PortLimits
from tidegate_process.ports import Port
from tidegate_process.protocol import descriptor
from tidegate_sidecar.engine.admission import Admission
from tidegate_sidecar.engine.handoff import Handoff
from tidegate_sidecar.engine.http_protocol import HttpProtocol
from tidegate_sidecar.engine.request_headers import HEAD_END, stream_request

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState


_GET = b"GET /"


class FastPathProtocol(asyncio.Protocol):
    """A new connection of `port`; a subclass sets it, `admission`, and the protocol for `ordinary`
    requests.
    """

    __slots__ = ("_of_server", "_server_state", "_transport")

    admission: Admission
    port: Port
    ordinary: type[HttpProtocol]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._of_server = (config, server_state, app_state, _loop)
        self._server_state = server_state

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock for the request head."""
        self._transport = transport
        self._server_state.connections.add(self)  # type: ignore[arg-type]
        port = self.port
        # Where nothing depends on it, the number is not asked for: it takes longer than the rest.
        port.opened(self, 0 if port.descriptors_below is None else descriptor(transport))

    def data_received(self, data: bytes) -> None:
        """Decide on a whole plain stream request, or leave the connection to the web server."""
        self._server_state.connections.discard(self)
        self.port.closed(self)
        plain = _plain_request(data, self.port.limits)
        if plain is None:
            self._leave(data)
            return
        request, headers = plain
        heads = self.admission.heads.of(headers)
        taken = Handoff(self.admission, self._transport, heads, True, self._server_state.tasks)
        taken.answer(self.admission.decide(request, "takeover"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._server_state.connections.discard(self)
        self.port.closed(self)

    def end(self) -> None:
        """Close the connection at once: it has sent no request in time, or its place is needed."""
        self._transport.abort()

    def shutdown(self) -> None:
        """The web server stops: nothing has been asked here."""
        self._transport.close()

    def _leave(self, data: bytes) -> None:
        protocol = self.ordinary(*self._of_server)
        protocol.connection_made(self._transport)
        self._transport.set_protocol(protocol)
        protocol.data_received(data)


class _Head:
    """The callbacks of httptools for one request."""

    __slots__ = ("complete", "headers", "url")

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_message_complete(self) -> None:
        self.complete = True


def _plain_request(
    data: bytes, limits: PortLimits
) -> tuple[StreamRequest, list[tuple[bytes, bytes]]] | None:
    """The stream request that `data` is, with nothing that forbids a takeover, and its headers."""
    head = _whole_head(data, limits.head_bytes)
    if head is None or len(head.headers) > limits.headers:
        return None
    request = stream_request("GET", "1.1", head.url, head.headers, len(data))
    if not is_stream_path(request.path) or request.has_body or request.expects:
        return None
    return request, head.headers


def _whole_head(data: bytes, max_bytes: int) -> _Head | None:
    """The head of the one GET request over HTTP/1.1 that `data` is, or ``None``."""
    if len(data) > max_bytes or not data.startswith(_GET):
        return None
    if data.find(HEAD_END) + len(HEAD_END) != len(data):
        return None
    head = _Head()
    parser = httptools.HttpRequestParser(head)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass  # an offer, which is ignored; the head is complete
    except httptools.HttpParserError:
        return None
    return head if head.complete and parser.get_http_version() == "1.1" else None
