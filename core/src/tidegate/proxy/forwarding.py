"""Heads as they are sent on, written anew from what was understood (`heads`).

The application gets what the client sent, its ``Host`` included, and learns the client's address
from ``X-Forwarded-*`` (or ``Forwarded``, RFC 7239, where it is in use already), because its own
peer is the proxy. What a client reports about others before it is kept only from trusted peers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from tidegate.proxy.heads import HEADER_STREAM_KIND, Request, Response

_REPORTED: Final = frozenset(
    {b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-real-ip",
     b"x-forwarded-port", b"x-forwarded-prefix", b"x-forwarded-server", b"x-forwarded-ssl"}
)  # fmt: skip
_APPENDED: Final = frozenset({b"forwarded", b"x-forwarded-for"})


def forwarded_head(request: Request, peer: str, *, is_trusted: bool, last: bool) -> bytes:
    """The request's head for the application.

    `peer` is the client's address. What it reports about clients before it is kept only if
    `is_trusted`. `last`: the connection is not used again. ``Accept-Encoding`` is left out of
    requests for event streams, because between the events of a compressed one nothing can be put.
    """
    left_out = _REPORTED | {HEADER_STREAM_KIND}
    if request.accepts_events:
        left_out |= {b"accept-encoding"}
    lines = [b"%b %b HTTP/1.1\r\n" % (request.method, request.target)]
    if request.value(b"host") is None:
        lines.append(b"Host:\r\n")  # HTTP/1.0 needs none, 1.1 an empty one (RFC 9112, 3.2)
    lines += [
        b"%b: %b\r\n" % (name, v) for lower, name, v in request.fields if lower not in left_out
    ]
    lines += _report(request, peer.encode(), is_trusted=is_trusted)
    if request.is_chunked:
        lines.append(b"Transfer-Encoding: chunked\r\n")
    if request.upgrade is not None:
        lines.append(b"Connection: Upgrade\r\nUpgrade: %b\r\n" % request.upgrade)
    elif last:
        lines.append(b"Connection: close\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)


def _report(request: Request, peer: bytes, *, is_trusted: bool) -> Iterator[bytes]:
    """The fields about the client."""
    reported = [field for field in request.fields if is_trusted and field[0] in _REPORTED]
    names = {lower for lower, _, _ in reported}
    for lower, name, value in reported:
        if lower not in _APPENDED:
            yield b"%b: %b\r\n" % (name, value)
    addresses = [value for lower, _, value in reported if lower == b"x-forwarded-for"]
    yield b"X-Forwarded-For: %b\r\n" % b", ".join((*addresses, peer))
    if b"forwarded" in names:
        elements = [value for lower, _, value in reported if lower == b"forwarded"]
        own = b'for="[%b]"' % peer if b":" in peer else b"for=%b" % peer
        yield b"Forwarded: %b\r\n" % b", ".join((*elements, own))
    if b"x-forwarded-proto" not in names:
        yield b"X-Forwarded-Proto: http\r\n"
    host = request.value(b"host")
    if b"x-forwarded-host" not in names and host:
        yield b"X-Forwarded-Host: %b\r\n" % host


def answer_head(response: Response, framing: Iterable[bytes] = (), *, close: bool) -> bytes:
    """The response's head for the client; `framing` are whole lines that the body's framing needs.

    ``Content-Length`` is among the response's own fields.
    """
    lines = [b"HTTP/1.1 %d %b\r\n" % (response.status, response.reason)]
    lines += [b"%b: %b\r\n" % (name, value) for _, name, value in response.fields]
    lines += framing
    if response.status == 101 and response.upgrade is not None:
        lines.append(b"Connection: Upgrade\r\nUpgrade: %b\r\n" % response.upgrade)
    elif close:
        lines.append(b"Connection: close\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)
