"""The answers of the door to a stream request: accept, bounce, refuse, defer or recall."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal, NamedTuple

from tidegate.auth.refusals import challenge
from tidegate.auth.rights import UNLIMITED, Rights
from tidegate.contract.acknowledge import StreamKey
from tidegate.contract.errors import CallerError
from tidegate.contract.stream_events import Gap, ShutdownReason
from tidegate.stream.requests import Recalled, StreamRequest, Wanted
from tidegate.wire.http import Headers

STREAM_HEADERS: Headers = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
    (b"connection", b"close"),
)
"""A kept connection would bring the reconnect back to the same pod, past any routing."""

DeferReason = Literal[
    "not_a_stream",
    "method",
    "http_version",
    "body",
    "expect",
    "pipelined",
    "response_unfinished",
    "write_buffer_used",
]


class Accept(NamedTuple):
    """Let the stream in.

    `first` are its first bytes (not framed); events above `position` follow. `headers_only`: the
    answer to HEAD, after which nothing follows. `rights` say how long it may last.
    """

    wanted: Wanted
    first: bytes
    position: int
    gap: Gap | None
    spread_ms: int
    headers_only: bool = False
    rights: Rights = UNLIMITED


@dataclass(frozen=True, slots=True)
class Bounce:
    """Answer 200 with `body` (not framed) and end: the pod's state, see `reason`."""

    body: bytes
    reason: ShutdownReason
    headers_only: bool = False


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer `status` with the JSON of `error`: the caller's mistake."""

    error: CallerError

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.error.status

    @property
    def body(self) -> bytes:
        """The JSON body, byte for byte as the ports' own errors are."""
        text = json.dumps(self.error.to_json(), ensure_ascii=False, separators=(",", ":"))
        return text.encode()

    @property
    def headers(self) -> Headers:
        """The response headers; the connection closes, as after every refused stream."""
        headers: Headers = (
            (b"content-type", b"application/json"),
            (b"cache-control", b"no-store"),
            (b"content-length", b"%d" % len(self.body)),
            (b"connection", b"close"),
        )
        asked = challenge(self.error)
        if asked is not None:
            return (*headers, (b"www-authenticate", asked.encode()))
        return (*headers, (b"allow", b"GET, HEAD")) if self.status == 405 else headers


@dataclass(frozen=True, slots=True)
class Defer:
    """Leave the connection to the web server; the ordinary way decides again."""

    reason: DeferReason


@dataclass(frozen=True, slots=True)
class Recall:
    """Look up what is kept for `key` and the store's newest position, then ask again.

    `key` is ``None`` where the client has brought its position itself.
    """

    key: StreamKey | None
    request: StreamRequest

    def answered(self, recalled: Recalled) -> StreamRequest:
        """The request to ask again with."""
        return self.request._replace(recalled=recalled)


Decision = Accept | Bounce | Refuse | Defer | Recall
