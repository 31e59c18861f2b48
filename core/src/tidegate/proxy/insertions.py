"""The bytes that a proxy puts into an endless event stream, and its own answers.

A first ``retry:`` (the application's own, which comes later, overrides it), a comment line while
the application is silent, and at the end `shutdown` with ``retry:``. None of them has an ``id:``:
the client's last event id stays the application's.
"""

from __future__ import annotations

import json

from tidegate.contract.errors import CallerError
from tidegate.contract.stream_events import MIN_RETRY_MS, Shutdown, ShutdownReason
from tidegate.wire.encode import HEARTBEAT, encode_retry, encode_shutdown
from tidegate.wire.http import response_head

__all__ = ["HEARTBEAT", "bounce", "broken_off", "encode_retry", "goodbye", "problem"]


def goodbye(reason: ShutdownReason, retry_ms: int) -> bytes:
    """The last event of a stream that is let go."""
    return encode_shutdown(Shutdown(reason, max(MIN_RETRY_MS, retry_ms), 0), None)


def broken_off(retry_ms: int) -> bytes:
    """The end of an endless stream whose application is gone: when to come back."""
    return encode_retry(max(MIN_RETRY_MS, retry_ms)) + b"\n"


def bounce(reason: ShutdownReason, retry_ms: int, origin: bytes | None) -> bytes:
    """A whole answer to a request for an endless stream that is not accepted now.

    200, because a browser's EventSource gives up on any other status, and readable for a page of
    any `origin`, without which it gives up, too. There is nothing in it that is worth protecting.
    """
    body = goodbye(reason, retry_ms)
    headers = [
        (b"Content-Type", b"text/event-stream; charset=utf-8"),
        (b"Cache-Control", b"no-store"),
        (b"Content-Length", b"%d" % len(body)),
        (b"Connection", b"close"),
    ]
    if origin is not None:
        headers += [
            (b"Access-Control-Allow-Origin", origin),
            (b"Access-Control-Allow-Credentials", b"true"),
            (b"Vary", b"Origin"),
        ]
    return response_head(200, headers) + body


def problem(error: CallerError, *, with_body: bool = True) -> bytes:
    """A whole answer with an error of the proxy's own, as JSON; the connection closes after it."""
    body = json.dumps(error.to_json()).encode()
    headers = [
        (b"Content-Type", b"application/json"),
        (b"Content-Length", b"%d" % len(body)),
        (b"Connection", b"close"),
    ]
    return response_head(error.status, headers) + (body if with_body else b"")
