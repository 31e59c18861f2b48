"""One connection of a client: request heads, one exchange after the other, and its bounds.

Bounds are the port's (`tidegate_process.ports`): the number of connections, the time and size of a
head, the silence within a body, the time for which a client reads nothing. Requests that come while
another is under way wait unparsed, in a buffer that is bounded by not reading on.
"""

from __future__ import annotations

import asyncio
from typing import Final

from tidegate.contract.errors import CallerError, DocumentError
from tidegate.proxy.heads import HEAD_END, Request, head_problem
from tidegate.proxy.insertions import problem
from tidegate_process.protocol import descriptor
from tidegate_sidecar.proxy.context import Context
from tidegate_sidecar.proxy.exchange import Exchange
from tidegate_sidecar.proxy.parsing import parse_request

WAITING_BYTES: Final = 64 * 1024
"""What is kept of a client's next requests while one is under way."""

WRITE_BUFFER_BYTES: Final = 64 * 1024
"""What is held for a client that does not read before the application is no longer read."""


class Client(asyncio.Protocol):
    """The connection of one client to the proxy with `context`."""

    __slots__ = (
        "_buffer", "_context", "_exchange", "_is_deaf", "_is_held", "_transport", "peer",
    )  # fmt: skip

    def __init__(self, context: Context) -> None:
        self._context = context
        self._buffer = b""
        self._exchange: Exchange | None = None
        self._is_deaf = False
        self._is_held = False
        self.peer = ""

    @property
    def transport(self) -> asyncio.Transport:
        """The connection."""
        return self._transport

    # Callbacks of the loop.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        address = transport.get_extra_info("peername")
        self.peer = address[0] if address else "127.0.0.1"
        self._context.streams.connections.add(transport)
        self._context.port.opened(self, descriptor(transport))

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        context = self._context
        context.port.closed(self)
        context.idle.done(self)
        context.streams.closed(self._transport)
        context.streams.connections.discard(self._transport)
        self._is_deaf = True
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.client_gone()

    def eof_received(self) -> bool:
        """The client sends no more; as it reads none of the answer either, as far as can be seen,
        it is gone, but for one whose last bytes are on their way.
        """
        if self._is_deaf:
            self._transport.abort()
        return False

    def data_received(self, data: bytes) -> None:
        """The client has sent something."""
        if self._is_deaf:
            return
        exchange = self._exchange
        if exchange is None:
            self._context.idle.done(self)
            self._buffer += data
            self._read_heads()
        elif exchange.takes_bytes:
            self._read_body(exchange, data)
        elif not exchange.is_last:
            self._wait(data)

    def pause_writing(self) -> None:
        """The client does not read."""
        self._context.port.writes.begin(self)
        if self._exchange is not None:
            self._exchange.client_is_slow(is_slow=True)

    def resume_writing(self) -> None:
        """It has read."""
        self._context.port.writes.done(self)
        if self._exchange is not None:
            self._exchange.client_is_slow(is_slow=False)

    # For the exchange and the port.

    def pause_reading(self, *, is_paused: bool) -> None:
        """Read no more, or go on. The client's time for its body stands still meanwhile."""
        requests, exchange = self._context.port.requests, self._exchange
        if is_paused:
            requests.done(self)
            self._transport.pause_reading()
        elif not self._is_held:
            self._transport.resume_reading()
            if exchange is not None and exchange.takes_bytes and not exchange.is_tunnel:
                requests.begin(self)

    def answered(self, *, keep: bool) -> None:
        """The exchange is over and its answer written."""
        if not keep:
            self.ended(flush=True)
            return
        self._exchange = None
        if self._transport.is_closing():
            return
        self._context.port.answered(self)
        if self._is_held:
            self._is_held = False
        self._transport.resume_reading()
        if self._buffer:
            # Not from here: a client may have sent very many requests.
            self._context.loop.call_soon(self._read_next)
        else:
            self._context.idle.begin(self)

    def ended(self, *, flush: bool) -> None:
        """The exchange is over: close the connection, once what was written is sent, or at once."""
        exchange, self._exchange = self._exchange, None
        if flush:
            self._close(may_send=exchange is not None and exchange.takes_bytes)
        else:
            self._is_deaf = True
            self._transport.abort()

    def _close(self, *, may_send: bool) -> None:
        """Close once everything is sent; `may_send`: the client has not sent all of its request.

        A close with unread bytes in the socket would be a reset, which may overtake the answer. So
        then only the sending side ends, and the client's end is waited for.
        """
        may_send = may_send or bool(self._buffer)
        self._is_deaf = True
        self._buffer = b""
        transport = self._transport
        if transport.is_closing():
            return
        self._context.streams.closes(transport)
        if may_send:
            transport.resume_reading()
            transport.write_eof()
        else:
            transport.close()

    def end(self) -> None:
        """Time is up, or the place is needed."""
        self._transport.abort()

    # Reading.

    def _read_next(self) -> None:
        if self._exchange is None and not self._is_deaf:
            self._read_heads()

    def _read_heads(self) -> None:
        """Begin the exchange that the buffer holds the head of."""
        buffer = self._buffer
        while buffer.startswith(b"\r\n"):  # RFC 9112, 2.2: an empty line in front is skipped
            buffer = buffer[2:]
        self._buffer = buffer
        if not buffer:
            return
        end = buffer.find(HEAD_END) + len(HEAD_END)
        if end < len(HEAD_END):
            self._wait_for_head(buffer)
            return
        request = self._parse(buffer[:end])
        if request is None:
            return
        self._buffer = b""
        has_place = self._context.port.begin(self, request.path)
        bounced = self._context.bounces(request)
        if not has_place:
            self._answer(problem(_BUSY), may_send=request.has_body)
        elif bounced is not None:
            self._answer(bounced, may_send=request.has_body)
        else:
            self._exchange = exchange = Exchange(self._context, self, request)
            exchange.begin()
            self._go_on(exchange, buffer[end:])

    def _wait_for_head(self, beginning: bytes) -> None:
        port = self._context.port
        wrong = head_problem(beginning)
        if len(beginning) > port.limits.head_bytes:
            self._refuse(_too_large(port.limits.head_bytes), "large_head")
        elif wrong is not None:
            self._refuse(CallerError("bad_request", wrong), "not_http")
        else:
            port.heads.begin(self)

    def _parse(self, head: bytes) -> Request | None:
        """The request, or ``None``: it was refused."""
        limits = self._context.port.limits
        if len(head) > limits.head_bytes:
            self._refuse(_too_large(limits.head_bytes), "large_head")
            return None
        try:
            request = parse_request(head)
        except CallerError as error:
            self._refuse(error, "not_http")
            return None
        if request.field_count > limits.headers:
            self._refuse(_too_many(limits.headers), "many_headers")
            return None
        return request

    def _go_on(self, exchange: Exchange, rest: bytes) -> None:
        if not exchange.takes_bytes:
            self._context.port.requests.done(self)
            if rest and self._exchange is exchange:
                self._wait(rest)
        elif rest:
            self._read_body(exchange, rest)

    def _read_body(self, exchange: Exchange, data: bytes) -> None:
        if exchange.is_connecting:
            self._buffer += data
            return
        requests = self._context.port.requests
        try:
            rest = exchange.from_client(data)
        except DocumentError as error:
            exchange.refuse_body(error)
            return
        requests.done(self)
        if exchange.takes_bytes:
            if not exchange.is_tunnel:
                requests.begin(self)
        elif rest:
            self._wait(rest)

    def connected(self) -> None:
        """The exchange can take the body's bytes that have come with the head."""
        data, self._buffer = self._buffer, b""
        if self._exchange is not None and data:
            self._read_body(self._exchange, data)

    def _wait(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > WAITING_BYTES and not self._is_held:
            self._is_held = True
            self._transport.pause_reading()

    def _refuse(self, error: CallerError, reason: str) -> None:
        self._context.port.heads.done(self)
        self._context.port.refused[reason] += 1
        self._answer(problem(error), may_send=True)

    def _answer(self, answer: bytes, *, may_send: bool) -> None:
        self._transport.write(answer)
        self._close(may_send=may_send)


_BUSY: Final = CallerError("busy", "too many concurrent requests", status=503)


def _too_many(limit: int) -> CallerError:
    return CallerError("too_many_headers", f"at most {limit}", "headers", status=431)


def _too_large(limit: int) -> CallerError:
    return CallerError("headers_too_large", f"at most {limit} bytes", "headers", status=431)
