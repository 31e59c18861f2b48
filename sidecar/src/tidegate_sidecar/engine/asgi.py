"""The ordinary way in: the stream routes as an ASGI application, by the same decision.

Used for requests that must not be taken over, and by servers without the takeover. A
stream looks the same to the engine: its transport is a small buffer whose bytes, out of their
chunks, go through ASGI's ``send``; the web server frames them again as it must.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.types import Receive, Scope, Send

from tidegate.stream.decisions import STREAM_HEADERS, Accept, Bounce, Recall, Refuse
from tidegate.stream.requests import StreamRequest
from tidegate.wire.http import unframe
from tidegate_sidecar.asgi import raw_path, respond, start_response
from tidegate_sidecar.engine.admission import Admission
from tidegate_sidecar.engine.memory import ORDINARY_BYTES
from tidegate_sidecar.engine.request_headers import CONNECTION, stream_request
from tidegate_sidecar.engine.stream import Stream

_REQUEST_LINE_REST = len("  HTTP/1.1\r\n\r\n")
_HEADER_REST = len(": \r\n")


class ResponseTransport:
    """A stream's connection made of an ASGI response.

    Whatever is written pauses the stream until `serve` has sent it, so at most one write waits.
    """

    def __init__(self, below: asyncio.Transport | None) -> None:
        self.stream: Stream | None = None
        self._below = below
        self._chunks: list[bytes] = []
        self._size = 0
        self._paused = False
        self._closing = False
        self._wake = asyncio.Event()
        self.aborted = asyncio.Event()

    def write(self, data: bytes) -> None:
        """Buffer whole chunks."""
        if self._closing or self.aborted.is_set():
            return
        self._chunks.append(data)
        self._size += len(data)
        self._wake.set()
        if self.stream is not None and not self._paused:
            self._paused = True
            self.stream.pause_writing()

    def close(self) -> None:
        """End the response once the buffer is sent."""
        self._closing = True
        self._wake.set()

    def abort(self) -> None:
        """Stop at once, without the end of the response."""
        self.aborted.set()
        if self._below is not None:
            self._below.abort()

    def get_write_buffer_size(self) -> int:
        """Bytes not yet given to the web server, and those it has not got rid of."""
        return self._size + (0 if self._below is None else self._below.get_write_buffer_size())

    def get_extra_info(self, name: str) -> Any:
        """The connection's own, where it is known."""
        return None if self._below is None else self._below.get_extra_info(name)

    async def serve(self, send: Send) -> None:
        """Send what is written until the stream is closed."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            chunks, self._chunks = self._chunks, []
            body = unframe(b"".join(chunks))
            if body:
                await send({"type": "http.response.body", "body": body, "more_body": True})
                # A server waits for its socket before it takes more: so this one returns when
                # what was sent has left, and the stream counts as stalled until then.
                await send({"type": "http.response.body", "body": b"", "more_body": True})
            self._size -= sum(map(len, chunks))
            if self._closing and not self._chunks:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            if self._paused and not self._chunks and self.stream is not None:
                self._paused = False
                self.stream.resume_writing()


class AsgiStreams:
    """The ASGI application of one engine."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; for other scopes than ``http`` there is nothing to do."""
        if scope["type"] != "http":
            return
        request = _request(scope)
        decision = self._admission.decide(request, "asgi")
        if isinstance(decision, Recall):
            decision = await self._admission.decide_recalled(decision, "asgi")
        if isinstance(decision, Accept) and not decision.headers_only:
            below = scope.get("extensions", {}).get(CONNECTION, {}).get("transport")
            await self._stream(decision, ResponseTransport(below), receive, send)
        elif isinstance(decision, Accept | Bounce):
            body = decision.body if isinstance(decision, Bounce) else b""
            await respond(send, 200, STREAM_HEADERS, b"" if decision.headers_only else body)
        elif isinstance(decision, Refuse):
            body = b"" if scope["method"] == "HEAD" else decision.body
            await respond(send, decision.status, decision.headers, body)

    async def _stream(
        self, decision: Accept, transport: ResponseTransport, receive: Receive, send: Send
    ) -> None:
        stream = transport.stream = self._admission.admit(transport, decision, ORDINARY_BYTES)
        self._admission.open_with(stream, decision, b"")
        tasks = [
            asyncio.ensure_future(_send_stream(transport, send)),
            asyncio.ensure_future(_until_disconnected(receive)),
            asyncio.ensure_future(transport.aborted.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            error = results[0] if isinstance(results[0], Exception) else None
            stream.connection_lost(error)


async def _send_stream(transport: ResponseTransport, send: Send) -> None:
    await start_response(send, 200, STREAM_HEADERS)
    await transport.serve(send)


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _request(scope: Scope) -> StreamRequest:
    headers = scope["headers"]
    path, query = raw_path(scope), scope.get("query_string", b"")
    target = path + b"?" + query if query else path
    size = len(scope["method"]) + len(target) + _REQUEST_LINE_REST
    size += sum(len(name) + len(value) + _HEADER_REST for name, value in headers)
    return stream_request(scope["method"], scope.get("http_version", "1.1"), target, headers, size)
