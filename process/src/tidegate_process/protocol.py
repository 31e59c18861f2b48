"""uvicorn's HTTP protocol with the bounds of a `Port` around it.

uvicorn bounds how long a kept connection may be silent, and nothing else: not a head's bytes, not
the time of a head, a body or an unread answer, not the number of connections. This class reports
each connection's state to a `Port`, and answers in JSON what does not reach the application.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from tidegate.contract.errors import CallerError
from tidegate_process.http import busy
from tidegate_process.plain_http import PlainHttpProtocol

_HEADER_REST = len(": \r\n")


class BoundedProtocol(PlainHttpProtocol):
    """One connection of `port`, which a subclass sets."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._serves = self.app
        self._head_bytes = 0
        self._in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Enter the connection."""
        super().connection_made(transport)
        self.port.opened(self, descriptor(transport))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.port.closed(self)
        super().connection_lost(exc)

    def end(self) -> None:
        """Close the connection at once; the application sees a disconnect."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; a head may not take longer or grow larger than the port allows."""
        if self.is_deaf:
            return
        if self._in_head:
            self.port.heads.begin(self)
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > self.port.limits.head_bytes and not self.is_deaf:
            self._refuse_large_head()

    def on_message_begin(self) -> None:
        """A head begins, perhaps in the same bytes in which another request has ended."""
        super().on_message_begin()
        if not self.is_deaf:
            self.port.heads.begin(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One more header (or one of a trailer)."""
        super().on_header(name, value)
        if len(self.headers) > self.port.limits.headers and not self.is_deaf:
            self._refuse_many_headers()

    def on_headers_complete(self) -> None:
        """Let the request in, or answer 503 where the port has no place for it."""
        if self.offers_upgrade or self.is_deaf:
            return
        self._in_head = False
        size = len(self.url) + sum(len(n) + len(v) + _HEADER_REST for n, v in self.headers)
        if size > self.port.limits.head_bytes:
            self._refuse_large_head()
            return
        has_place = self.port.begin(self, self.url.partition(b"?")[0])
        self.app = self._serves if has_place else busy
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of the body, which is held until the request is answered."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.port.received(self, len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is here; what follows is another head."""
        if self.offers_upgrade or self.is_deaf:
            return
        self._in_head = True
        self._head_bytes = 0
        self.port.requests.done(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is written; a request that waits behind it begins, and stays busy."""
        if not self.pipeline:
            self.port.answered(self)
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The peer does not read what is written."""
        self.port.writes.begin(self)
        super().pause_writing()

    def resume_writing(self) -> None:
        """It has read enough."""
        self.port.writes.done(self)
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        if not self.is_deaf:
            self._refuse(CallerError("bad_request", msg), "not_http")

    def _refuse_large_head(self) -> None:
        limit = self.port.limits.head_bytes
        error = CallerError("headers_too_large", f"at most {limit} bytes", "headers", status=431)
        self._refuse(error, "large_head")

    def _refuse_many_headers(self) -> None:
        detail = f"at most {self.port.limits.headers} headers"
        self._refuse(CallerError("too_many_headers", detail, "headers", 431), "many_headers")

    def _refuse(self, error: CallerError, reason: str) -> None:
        self.is_deaf = True
        self.port.refused[reason] += 1
        self._unset_keepalive_if_required()
        if self.cycle is None or self.cycle.response_complete:
            body = json.dumps(error.to_json()).encode()
            head = (
                b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
            )
            self.transport.write(STATUS_LINE[error.status] + head % len(body) + body)
        self.transport.close()


def descriptor(transport: asyncio.Transport) -> int:
    """The number of the connection's file descriptor; 0 where it has none any more."""
    own = transport.get_extra_info("socket")
    return 0 if own is None else max(0, own.fileno())
