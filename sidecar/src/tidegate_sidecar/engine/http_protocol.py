"""The second way in: uvicorn's protocol, which still hands stream connections to the engine.

It has the connections that `FastPathProtocol` did not answer on their first bytes: what is not a
stream, what came in pieces, and what follows on a kept connection. It is uvicorn's own httptools
protocol with one question added: once a request's head is complete, the door decides. A
connection that is accepted changes its protocol to a slim `Stream` before any task or request
object is made for it, and never comes back. It must be entirely ours for that: GET, no body,
nothing pipelined, no response unfinished, nothing buffered; whatever is not goes on as
if this module did not exist.

The bounds are those of every port (`BoundedProtocol`); a connection that becomes a stream leaves
the port, because streams have bounds of their own.
"""

from __future__ import annotations

from typing import Any

from tidegate.contract.errors import CallerError
from tidegate.stream.decisions import Decision, Defer
from tidegate.stream.door import headers_too_large
from tidegate.stream.requests import StreamRequest, is_stream_path
from tidegate_process.protocol import BoundedProtocol
from tidegate_sidecar.engine.admission import Admission
from tidegate_sidecar.engine.handoff import Handoff
from tidegate_sidecar.engine.request_headers import (
    CONNECTION,
    HEAD_END,
    origin_form,
    stream_request,
)


class HttpProtocol(BoundedProtocol):
    """One connection of `port` until it becomes a stream or closes; a subclass sets both names."""

    admission: Admission

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = b""
        self._message_ended = False
        self._mixed = False
        self._left = False

    def data_received(self, data: bytes) -> None:
        """Feed the parser, keeping the head's raw bytes until it is complete."""
        if self.is_deaf:
            return
        self._message_ended = False
        if self._in_head:
            self._head += data
        super().data_received(data)
        if self._left:
            # They hold each other, and no connection_lost will come to part them.
            self.parser = None  # type: ignore[assignment]

    def on_message_begin(self) -> None:
        """Notice a request that has begun behind another one in the same bytes."""
        if self._message_ended:
            # From here on the raw bytes kept are not those of the head being read.
            self._mixed = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Ask the door, and take the connection over or let the request go on."""
        if self.is_deaf or self.offers_upgrade:
            return
        decision = self._decide()
        if isinstance(decision, Defer):
            self._go_on()
        else:
            self._take().answer(decision)

    def on_message_complete(self) -> None:
        """An ordinary request is complete; what follows is another head."""
        if self.is_deaf or self.offers_upgrade:
            return
        self._message_ended = True
        self._head = b""
        super().on_message_complete()

    def _refuse(self, error: CallerError, reason: str) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            super()._refuse(error, reason)  # an answer cannot follow half of another one
            return
        self.port.refused[reason] += 1
        self._take().answer(self.admission.refuse(error))

    def _decide(self) -> Decision:
        too_large = len(self._head) > self.port.limits.head_bytes
        if not too_large and not is_stream_path(origin_form(self.url).partition(b"?")[0]):
            return Defer("not_a_stream")
        request = self._request()
        if too_large and not request.response_unfinished and not request.write_buffer_used:
            self.port.refused["large_head"] += 1
            return self.admission.refuse(headers_too_large(self.port.limits.head_bytes))
        decision = self.admission.decide(request, "takeover")
        if isinstance(decision, Defer) and (request.http_version, request.method) == ("1.0", "GET"):
            # The web server would send chunks, which an HTTP/1.0 client takes for text.
            detail = "an HTTP/1.0 stream request must stand alone: GET, no body"
            return self.admission.refuse(CallerError("bad_request", detail, decision.reason))
        return decision

    def _request(self) -> StreamRequest:
        head_end = self._head.find(HEAD_END) + len(HEAD_END)
        return stream_request(
            self.parser.get_method().decode("latin-1"),
            self.parser.get_http_version(),
            self.url,
            self.headers,
            head_end,
            pipelined=self._mixed or head_end != len(self._head),
            response_unfinished=self.cycle is not None and not self.cycle.response_complete,
            write_buffer_used=self.transport.get_write_buffer_size() > 0,
        )

    def _go_on(self) -> None:
        # Without it a peer that does not read could hold its connection for ever: closing waits.
        self.scope["extensions"] = {CONNECTION: {"transport": self.transport}}
        super().on_headers_complete()
        if self.admission.gate.closing and self.cycle is not None:
            self.cycle.keep_alive = False

    def _take(self) -> Handoff:
        """Leave the web server; from here on the connection is ours."""
        chunked = self.parser.get_http_version() != "1.0"
        heads = self.admission.heads.of(self.headers or ())  # none before the request line
        self._left = self.is_deaf = True
        self.port.closed(self)
        self.connections.discard(self)
        self._unset_keepalive_if_required()
        return Handoff(self.admission, self.transport, heads, chunked, self.tasks)
