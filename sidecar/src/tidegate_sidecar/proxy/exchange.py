"""One request and its answer: what is passed on, and what happens when either side fails.

Before the answer's head a failure of the application is an answer of ours (502, 504, JSON). Behind
it there is nothing to put it into: a finite answer is broken off so that its client can see it, an
endless stream ends cleanly, because its client comes back by itself. A client that is gone takes
its connection to the application with it at once.
"""

from __future__ import annotations

import asyncio

from tidegate.contract.errors import CallerError, DocumentError
from tidegate.proxy.forwarding import answer_head, forwarded_head
from tidegate.proxy.heads import Request, Response
from tidegate.proxy.insertions import problem
from tidegate.proxy.kinds import asks_for_endless, kind_of
from tidegate.proxy.plans import plan_answer
from tidegate_sidecar.proxy.answer import Answer
from tidegate_sidecar.proxy.client_side import ClientSide
from tidegate_sidecar.proxy.context import Context
from tidegate_sidecar.proxy.failures import STOPPING, away, bad_answer, silent
from tidegate_sidecar.proxy.passing import AnswerHead, Passing
from tidegate_sidecar.proxy.upstream import Upstream


class Exchange:
    """One exchange of a `client`; `begin` starts it."""

    __slots__ = (
        "_answer", "_client", "_connecting", "_context", "_head", "_is_over", "_request_body",
        "_tunnel", "_upstream", "request",
    )  # fmt: skip

    def __init__(self, context: Context, client: ClientSide, request: Request) -> None:
        self.request = request
        self._context = context
        self._client = client
        self._request_body = Passing(request.body(), frames=request.is_chunked)
        self._upstream: Upstream | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._head = AnswerHead(request.method)
        self._answer: Answer | None = None
        self._tunnel = False
        self._is_over = False

    @property
    def takes_bytes(self) -> bool:
        """Whether what the client sends belongs to this request (or tunnel)."""
        return self._tunnel or not self._request_body.is_done

    @property
    def is_connecting(self) -> bool:
        """Whether the application cannot take anything yet."""
        return self._connecting is not None

    @property
    def is_tunnel(self) -> bool:
        """Whether an upgrade was taken up."""
        return self._tunnel

    @property
    def is_last(self) -> bool:
        """Whether nothing is read from the client's connection any more."""
        return self._answer is not None and not self._answer.plan.keep

    # The request.

    def begin(self) -> None:
        """Send the request to the application."""
        context = self._context
        context.streams.counts.requests += 1
        context.streams.answers[self] = None
        own = self.request.accepts_events or self.request.upgrade is not None
        kept = None if own else context.upstreams.take()
        if kept is not None:
            context.streams.counts.reused += 1
            self._connected(kept)
            return
        if self.request.has_body:
            self._client.pause_reading(is_paused=True)
        context.connecting.begin(self)
        self._connecting = context.loop.create_task(self._connect())

    async def _connect(self) -> None:
        context = self._context
        try:
            upstream = await context.upstreams.connect()
        except OSError as error:
            if not self._is_over:
                self._connecting = None
                self._away(error)
            return
        self._connecting = None
        context.connecting.done(self)
        context.streams.counts.connects += 1
        if self._is_over:
            upstream.close()
            return
        self._connected(upstream)
        if self.request.has_body:
            self._client.pause_reading(is_paused=False)
            self._client.connected()

    def _connected(self, upstream: Upstream) -> None:
        self._upstream = upstream
        upstream.use(self, self._on_head)
        peer, request = self._client.peer, self.request
        trusted = self._context.trusts(peer)
        upstream.transport.write(
            forwarded_head(request, peer, is_trusted=trusted, last=request.accepts_events)
        )
        self._context.silence.begin(self)

    def from_client(self, data: bytes) -> bytes:
        """The client has sent a part of the request's body; returns what is behind its end.

        Raises `DocumentError` for what is not a body.
        """
        upstream = self._upstream
        if self._tunnel:
            if upstream is not None:
                upstream.transport.write(data)
            return b""
        self.wait_again()
        return self._request_body.feed(
            data, _drop if upstream is None else upstream.transport.write
        )

    def refuse_body(self, error: DocumentError) -> None:
        """The client's bytes are not the body that its head has announced."""
        if self._answer is None:
            self._fail(CallerError("bad_body", str(error)))
        else:
            self._finish("client", flush=True)

    def client_is_slow(self, *, is_slow: bool) -> None:
        """Whether bytes for the client wait: then the application is not read."""
        if self._upstream is not None:
            self._upstream.pause_reading(is_paused=is_slow)

    def client_gone(self) -> None:
        """The client has closed its connection."""
        self._finish("client")

    # The answer.

    def _on_head(self, data: bytes) -> None:
        self.wait_again()
        try:
            found = self._head.feed(data)
            while found is not None and found[0].is_interim:
                if self.request.minor:
                    self._client.transport.write(answer_head(found[0], close=False))
                found = self._head.feed(found[1])
        except CallerError as error:
            self._fail(error)
            return
        if found is None:
            return
        response, rest = found
        if response.status == 101:
            self._open_tunnel(response, rest)
        else:
            self._begin_answer(response, rest)

    def _begin_answer(self, response: Response, rest: bytes) -> None:
        context, request, upstream = self._context, self.request, self._upstream
        assert upstream is not None
        kind = kind_of(request, response, context.rules, context.learnt)
        plan = plan_answer(request, response, kind, closing=context.streams.gate.closing)
        first = b""
        if plan.is_endless:
            bounce = context.bounces_stream(request)
            if bounce is not None:
                self._answer_ourselves(bounce)
                return
            first = context.opens(self)
        self._answer = Answer(self, self._client.transport, response, plan, first)
        self._answer.begin(upstream, rest)

    def answer_complete(self, rest: bytes) -> None:
        """The answer is whole; `rest` came behind it."""
        upstream, answer = self._upstream, self._answer
        assert answer is not None
        self._upstream = None
        whole = self._request_body.is_done
        if upstream is not None:
            own = self.request.accepts_events or answer.is_stream
            if answer.response.keep_alive and whole and not rest and not own:
                self._context.upstreams.keep(upstream)
            else:
                upstream.close()
        if answer.is_stream and self.request.method == b"GET":
            self._context.learnt.ended(self.request.path, answer.tail)
        self._over("application")
        self._client.answered(keep=answer.plan.keep and whole)

    # Leaving.

    def let_go(self, words: bytes, cause: str) -> bool:
        """End between two events, with `words` as the last one; whether that was possible now."""
        left = None if self._answer is None else self._answer.let_go(words, cause)
        if left is None:
            self.end()
            return True
        return left

    def stream_left(self, cause: str) -> None:
        """The stream's last bytes are written."""
        self._finish(cause, flush=True)

    def beat(self, quiet_rounds: int) -> bool:
        """See `EventStream.beat`."""
        return self._answer is not None and self._answer.beat(quiet_rounds)

    def end(self) -> None:
        """Time is up: of a drain, of the application's silence or of the client's."""
        context = self._context
        if self._answer is not None:
            self._answer.break_off()
            self._finish("deadline", flush=True)
        elif self._tunnel:
            self._finish("deadline", flush=True)
        elif context.streams.gate.refusing is not None:
            self._fail(STOPPING)
        elif self._connecting is not None:
            self._away(TimeoutError("no connection in time"))
        else:
            context.streams.counts.application_timeouts += 1
            self._fail(silent(context.settings.application.answer_timeout_s))

    # Failures.

    def application_ended(self, error: Exception | None) -> None:
        """The application has closed its connection, or it broke."""
        self._upstream = None
        answer = self._answer
        if self._tunnel:
            self._finish("application", flush=True)
        elif answer is None:
            self._away(error or ConnectionError("it closed the connection without an answer"))
        elif error is None and answer.end_by_close():
            self.answer_complete(b"")
        elif answer.plan.is_endless:
            answer.break_off(self._context.settings.streams.retry_base_ms)
            self._context.streams.counts.broken_answers += 1
            self._finish("error", flush=True)
        else:
            self.answer_broken()

    def application_is_slow(self, *, is_slow: bool) -> None:
        """Whether bytes for the application wait: then the client is not read."""
        self._client.pause_reading(is_paused=is_slow)

    def answer_broken(self) -> None:
        """The application's answer stops short: the client must see that it is not whole."""
        self._context.streams.counts.broken_answers += 1
        # What ends with its connection looks whole unless the connection is reset.
        answer = self._answer
        self._finish("error", flush=answer is not None and answer.plan.shows_its_end)

    def _away(self, error: Exception) -> None:
        context, request = self._context, self.request
        context.streams.counts.application_away += 1
        if asks_for_endless(request, context.rules, context.learnt):
            # Any other status than 200 would end an EventSource for good.
            retry_ms = context.settings.streams.retry_base_ms
            self._answer_ourselves(context.bounce(request, "unavailable", retry_ms))
            return
        self._fail(away(context.upstreams.name, error))

    def _fail(self, error: CallerError) -> None:
        self._context.streams.refused_total[error.code] += 1
        self._answer_ourselves(problem(error, with_body=self.request.method != b"HEAD"))

    def _answer_ourselves(self, answer: bytes) -> None:
        self._client.transport.write(answer)
        self._finish("error", flush=True)

    # The end.

    def _finish(self, cause: str, *, flush: bool = False) -> None:
        """End both sides."""
        if self._is_over:
            return
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.close()
        self._over(cause)
        self._client.ended(flush=flush)

    def _over(self, cause: str) -> None:
        self._is_over = True
        if self._answer is not None:
            self._answer.flush()
        self._context.connecting.done(self)
        self._context.silence.done(self)
        self._context.streams.ended(self, cause)

    def wait_again(self) -> None:
        """The exchange goes on: the application's time begins anew. An endless stream has all."""
        if self._answer is not None and self._answer.plan.is_endless:
            return
        silence = self._context.silence
        silence.done(self)
        silence.begin(self)

    def _open_tunnel(self, response: Response, rest: bytes) -> None:
        """The application has taken an upgrade: from here on bytes go both ways as they come."""
        upstream = self._upstream
        assert upstream is not None
        if self.request.upgrade is None:
            self._fail(bad_answer("101 without an offer to upgrade"))
            return
        self._tunnel = True
        self._context.silence.done(self)
        self._context.streams.tunnelled(self)
        self._client.transport.write(answer_head(response, close=False) + rest)
        upstream.receive(self._client.transport.write)


def _drop(_: bytes) -> None:
    """The answer has come without the rest of the request's body."""
