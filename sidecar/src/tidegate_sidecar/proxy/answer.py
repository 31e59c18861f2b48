"""The application's answer on its way to the client, from its head to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from tidegate.contract.errors import DocumentError
from tidegate.proxy.bodies import UntilClose
from tidegate.proxy.forwarding import answer_head
from tidegate.proxy.heads import Response
from tidegate.proxy.insertions import broken_off
from tidegate.proxy.plans import Plan
from tidegate.wire.http import LAST_CHUNK
from tidegate_sidecar.proxy.events import EventStream
from tidegate_sidecar.proxy.passing import Passing
from tidegate_sidecar.proxy.upstream import Upstream

_CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"


class Owner(Protocol):
    """The exchange that the answer belongs to."""

    def answer_complete(self, rest: bytes) -> None:
        """The answer is whole; `rest` came behind it."""

    def stream_left(self, cause: str) -> None:
        """The stream was ended here, and its last bytes are written."""

    def answer_broken(self) -> None:
        """The application's answer stops short."""

    def wait_again(self) -> None:
        """The application has sent something: its time begins anew."""


class Answer:
    """One answer, sent to `transport` by `plan`; `first` goes in front of an endless stream."""

    __slots__ = (
        "_body", "_owner", "_passing", "_stream", "_transport", "_unsent", "plan", "response",
    )  # fmt: skip

    def __init__(
        self,
        owner: Owner,
        transport: asyncio.Transport,
        response: Response,
        plan: Plan,
        first: bytes,
    ) -> None:
        self.response = response
        self.plan = plan
        self._owner = owner
        self._transport = transport
        self._body = body = response.body()
        self._passing: Passing | None = None
        self._stream: EventStream | None = None
        if plan.kind == "plain":
            self._passing = Passing(body, frames=plan.frames)
        else:
            self._stream = EventStream(
                self, self._write, body, kind=plan.kind, frames=plan.frames, first=first
            )
        # Sent with the first bytes of the body: a write costs more than all that is done to a head.
        framing = [_CHUNKED] if plan.frames else []
        self._unsent = answer_head(response, framing, close=not plan.keep)

    @property
    def is_stream(self) -> bool:
        """Whether it consists of events."""
        return self._stream is not None

    @property
    def tail(self) -> bytes:
        """The last bytes of an event stream."""
        return b"" if self._stream is None else self._stream.tail

    def begin(self, upstream: Upstream, rest: bytes) -> None:
        """Take the body from `upstream`, first the `rest` that came with the head."""
        take: Callable[[bytes], None] = self._take_plain
        if self._stream is not None:
            take = self._stream.feed if self.plan.is_endless else self._take_finite
        upstream.receive(take)
        if rest or self._body.is_done:
            take(rest)
        self.flush()
        if self._stream is not None:
            self._stream.write = self._transport.write

    def flush(self) -> None:
        """Send the head, if nothing has followed it yet."""
        if self._unsent:
            self._write(b"")

    def _write(self, data: bytes) -> None:
        if self._unsent:
            data, self._unsent = self._unsent + data, b""
        self._transport.write(data)

    def _take_finite(self, data: bytes) -> None:
        self._owner.wait_again()
        assert self._stream is not None
        self._stream.feed(data)

    def _take_plain(self, data: bytes) -> None:
        self._owner.wait_again()
        assert self._passing is not None
        try:
            rest = self._passing.feed(data, self._write)
        except DocumentError:
            self._owner.answer_broken()
            return
        if self._passing.is_done:
            self._owner.answer_complete(rest)

    # From the event stream.

    def stream_ended(self, rest: bytes) -> None:
        """The application has ended its event stream."""
        self._owner.answer_complete(rest)

    def stream_left(self, cause: str) -> None:
        """The stream was ended here."""
        self._owner.stream_left(cause)

    def answer_broken(self) -> None:
        """The application's bytes are not what its head has announced."""
        self._owner.answer_broken()

    # From the exchange.

    def let_go(self, words: bytes, cause: str) -> bool | None:
        """End between two events; whether that was possible now, ``None``: there are no events."""
        return None if self._stream is None else self._stream.let_go(words, cause)

    def beat(self, quiet_rounds: int) -> bool:
        """See `EventStream.beat`."""
        return self._stream is not None and self._stream.beat(quiet_rounds)

    def end_by_close(self) -> bool:
        """The application has closed in good order; whether that ends this body."""
        if not isinstance(self._body, UntilClose):
            return False
        if self.plan.frames:
            self._write(LAST_CHUNK)
        return True

    def break_off(self, retry_ms: int | None = None) -> None:
        """End an endless stream cleanly, with a ``retry:`` if that can be; of others nothing."""
        if self.plan.is_endless and self._stream is not None:
            self._stream.break_off(b"" if retry_ms is None else broken_off(retry_ms))
