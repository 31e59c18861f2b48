"""The door: accept, refuse, bounce or defer a request, decided in one pure place.

A stream can come in two ways: its connection is taken over right behind the HTTP parser, or it
runs as an ordinary ASGI response. Both ask this function, so that they cannot disagree. It returns
*defer* where a connection must not be taken over; the ASGI way never gets that.

* a **caller's mistake** is a 4xx with a JSON body: the client is meant to stop. That includes what
  the guard refuses (`tidegate.auth`), which is asked only where the pod takes streams: a token
  costs a pod nothing that sends clients away;
* the **pod's state** is a bounce, a 200 that sends the client elsewhere: a native EventSource
  gives up on any other status (WHATWG 9.2.3, "fail the connection"). Its `retry:` is a slot in the
  queue of those that come back (`tidegate.stream.queue`);
* a stream that a client has named and that brings no cursor goes on from what was acknowledged:
  that must be looked up, so the caller must *recall* it first;
* otherwise the stream is **accepted**, with its first bytes and the position it starts at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from tidegate.auth.expiry import retry_after_expiry_ms
from tidegate.auth.guard import Guard, TurnedAway
from tidegate.auth.rights import UNLIMITED, Asked, Rights
from tidegate.contract.errors import CallerError
from tidegate.contract.stream_events import Shutdown, ShutdownReason
from tidegate.contract.stream_settings import Limits, StreamSettings
from tidegate.stream.decisions import Accept, Bounce, Decision, Defer, DeferReason, Recall, Refuse
from tidegate.stream.log import EventLog
from tidegate.stream.queue import LEAST_WAIT_S, AcceptQueue, new_streams_per_s
from tidegate.stream.requests import (
    RequestReader,
    StreamRequest,
    Wanted,
    is_stream_path,
)
from tidegate.stream.resume import is_ahead, resume
from tidegate.stream.retries import assign
from tidegate.wire.cursors import parse_cursor
from tidegate.wire.encode import ConnectedEncoder, encode_gap, encode_shutdown

Way = Literal["takeover", "asgi"]


KEPT_FOR_CLIENTS: Final = 10
"""One of so many places is only for streams with a client id."""


class Liveness(NamedTuple):
    """Of a client's open streams, how many acknowledge bytes, and how many may or may not.

    The rest are silent: their client has vanished, and a time-out will end them.
    """

    live: int
    unsure: int


class PodView(NamedTuple):
    """The pod at the moment `now`: why it refuses (``None``: it does not), and what it holds.

    `now` is in seconds of a clock that only grows. `bounce_retry_ms` is the least `retry:` of a
    bounce (0: none is sent). `arrivals` numbers the newcomer; `streams_of` counts the open streams
    of a client, and `liveness_of` looks at each of them; `without_client` have no client id.
    """

    now: float
    refusing: ShutdownReason | None
    bounce_retry_ms: int
    streams: int
    arrivals: int
    streams_of: Callable[[str], int]
    liveness_of: Callable[[str], Liveness]
    without_client: int = 0


class Door:
    """Decides on stream requests for one pod.

    `log` is only read. `pod_name` and the heartbeat are announced in `connected`. The only state
    is the queue: an accepted GET takes a place, a bounced one a slot. Without a `guard` everything
    may be read.
    """

    def __init__(
        self,
        streams: StreamSettings,
        limits: Limits,
        log: EventLog,
        *,
        pod_name: str,
        guard: Guard | None = None,
    ) -> None:
        self._log = log
        self._streams = streams
        self._limits = limits
        self._guard = guard
        self._reader = RequestReader(limits.max_topics_per_stream)
        self._connected = ConnectedEncoder(pod_name, round(streams.heartbeat_s * 1000))
        self._limited = limits.max_new_streams_per_s is not None
        self._queue = AcceptQueue(new_streams_per_s(streams, limits))
        self._expired = 0

    def decide(self, request: StreamRequest, pod: PodView, way: Way) -> Decision:
        """Decide on one request; `way` is how it would be served if accepted."""
        if not is_stream_path(request.path):
            if way == "takeover":
                return Defer("not_a_stream")
            return Refuse(CallerError("not_found", "no such path", "path", status=404))
        if way == "takeover" and (reason := _unsafe(request)) is not None:
            return Defer(reason)
        try:
            self._check_head(request)
            return self._decide(request, pod, request.method == "HEAD")
        except CallerError as error:
            return Refuse(error)

    def _decide(self, request: StreamRequest, pod: PodView, headers_only: bool) -> Decision:
        """Decide on a stream that this pod could serve in this way; raises `CallerError`."""
        credential = None
        if self._guard is None:
            wanted = self._reader.read(request)
        else:
            query, credential = self._guard.screen(request.headers, request.query)
            # A token in the query is kept nowhere: the reader keeps what it reads.
            without = request if query is request.query else request._replace(query=query)
            wanted = self._reader.read(without)
        if (bounced := self._pod_refuses(pod, wanted)) is not None:
            return self._bounce(bounced, pod, headers_only)
        if self._limited and not self._queue.has_room(pod.now):
            return self._bounce("overloaded", pod, headers_only, least_s=LEAST_WAIT_S)
        rights = UNLIMITED
        if self._guard is not None:
            asked = Asked(wanted.client, wanted.topics)
            given = self._guard.rights(credential, request.method, request.headers, asked)
            if isinstance(given, TurnedAway):
                return self._turn_away(given, pod, headers_only)
            rights = given
        if self._may_be_at_limit(wanted, pod):
            return self._bounce("overloaded", pod, headers_only)
        named = wanted.key is not None and wanted.last_event_id is None
        ahead = is_ahead(parse_cursor(wanted.last_event_id), self._log)
        if headers_only or not (named or ahead):
            return self._accept(wanted, rights, pod, headers_only)
        return self._go_on(wanted, rights, request, pod)

    def _go_on(
        self, wanted: Wanted, rights: Rights, request: StreamRequest, pod: PodView
    ) -> Decision:
        """Go on at a position that the store knows: the acknowledged one, or one not read here.

        Where the store is out of reach the client is sent to another pod or time: to begin at the
        head would be to lose in silence what lies before it.
        """
        recalled = request.recalled
        if recalled is None:
            return Recall(wanted.key if wanted.last_event_id is None else None, request)
        if not recalled.reached:
            return self._bounce("unavailable", pod, headers_only=False)
        event_id = wanted.last_event_id or recalled.event_id
        wanted = wanted._replace(last_event_id=event_id)
        return self._accept(wanted, rights, pod, False, recalled.newest)

    def _check_head(self, request: StreamRequest) -> None:
        if request.header_bytes > self._limits.max_header_bytes:
            raise headers_too_large(self._limits.max_header_bytes)
        if request.method not in ("GET", "HEAD"):
            raise CallerError("bad_method", "a stream is requested by GET", "method", status=405)

    def _may_be_at_limit(self, wanted: Wanted, pod: PodView) -> bool:
        """Whether it is not known yet if the client holds all the streams it may have.

        Only streams that acknowledge bytes count: a client that lost its connections without a
        word would be refused for its own ghosts, and a 429 is the end of a native EventSource.
        Ending its oldest stream instead would need a way to keep that one from coming back, or
        two tabs would chase each other. While it is not known, the client is sent away for a
        moment. Raises `CallerError` where its live streams are too many.
        """
        limit = self._limits.max_streams_per_client
        if wanted.client is None or pod.streams_of(wanted.client) < limit:
            return False
        found = pod.liveness_of(wanted.client)
        if found.live >= limit:
            detail = f"at most {limit} streams per client"
            raise CallerError("too_many_streams", detail, "client_id", status=429)
        return found.live + found.unsure >= limit

    def _pod_refuses(self, pod: PodView, wanted: Wanted) -> ShutdownReason | None:
        if pod.refusing is not None:
            return pod.refusing
        limit = self._limits.max_streams
        if pod.streams >= limit:
            return "overloaded"
        # They have no limit of their own, so they must not take the places of all that do.
        is_over = wanted.client is None and pod.without_client >= limit - limit // KEPT_FOR_CLIENTS
        return "overloaded" if is_over else None

    def _accept(
        self, wanted: Wanted, rights: Rights, pod: PodView, headers_only: bool, newest: int = 0
    ) -> Accept:
        cursor = parse_cursor(wanted.last_event_id)
        start = resume(self._log, wanted.topics, wanted.client, cursor, self._streams, newest)
        retry = assign(self._streams, pod.arrivals, pod.streams)
        first = self._connected.encode(
            event_id=self._log.cursor(start.position),
            stream=pod.arrivals,
            spread_ms=retry.spread_ms,
            replay=cursor is not None and start.position < self._log.head,
            retry_ms=retry.retry_ms,
        )
        if start.gap is not None:
            first += encode_gap(start.gap)
        if self._limited and not headers_only:
            self._queue.take()
        return Accept(
            wanted, first, start.position, start.gap, retry.spread_ms, headers_only, rights
        )

    def _turn_away(self, away: TurnedAway, pod: PodView, headers_only: bool) -> Bounce:
        """Send a client away that could not be verified now.

        Its wait takes no slot of the queue: it may be half a minute, behind which all others would
        wait as well.
        """
        if away.reason != "expired":
            return self._bounce(away.reason, pod, headers_only)
        self._expired += 1
        return _bounce(away.reason, retry_after_expiry_ms(self._expired), headers_only)

    def _bounce(
        self,
        reason: ShutdownReason,
        pod: PodView,
        headers_only: bool,
        least_s: float | None = None,
    ) -> Bounce:
        """Send the client away until its slot, `least_s` from now or more (``None``: the pod's).

        A pod that does not take streams names slots as well, as its clients come back all the same,
        to it or to another one. The answer to HEAD names none.
        """
        retry_ms = pod.bounce_retry_ms
        if retry_ms and not headers_only:
            retry_ms = self._queue.slot_ms(pod.now, retry_ms / 1000 if least_s is None else least_s)
        return _bounce(reason, retry_ms, headers_only)


def _bounce(reason: ShutdownReason, retry_ms: int, headers_only: bool) -> Bounce:
    goodbye = Shutdown(reason, reconnect_after_ms=retry_ms, deadline_ms=0)
    return Bounce(encode_shutdown(goodbye, None), reason, headers_only)


def headers_too_large(limit: int) -> CallerError:
    """The refusal of a request head above `limit` bytes (RFC 6585, 431)."""
    return CallerError("headers_too_large", f"at most {limit} bytes", "headers", status=431)


def _unsafe(request: StreamRequest) -> DeferReason | None:
    """Why this connection must not be taken over, first reason first."""
    if request.method != "GET":
        return "method"
    if request.http_version not in ("1.1", "1.0"):
        return "http_version"
    checks: tuple[tuple[bool, DeferReason], ...] = (
        (request.has_body, "body"),
        (request.expects, "expect"),
        (request.pipelined, "pipelined"),
        (request.response_unfinished, "response_unfinished"),
        (request.write_buffer_used, "write_buffer_used"),
    )
    return next((reason for unsafe, reason in checks if unsafe), None)
