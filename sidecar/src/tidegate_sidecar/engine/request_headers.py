"""From a request's head to the `StreamRequest` that the door decides on, the same for all ways."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tidegate.contract.names import HEADER_LAST_EVENT_ID
from tidegate.stream.requests import StreamRequest

HEAD_END: Final = b"\r\n\r\n"

CONNECTION: Final = "tidegate.connection"
"""ASGI extension of our own protocol: ``transport`` is the connection below a response."""

_LAST_EVENT_ID: Final = HEADER_LAST_EVENT_ID.lower().encode()


def origin_form(target: bytes) -> bytes:
    """Path and query of a request target that may be a whole URL (RFC 9112, 3.2.2)."""
    if target.startswith(b"/"):
        return target
    _, found, rest = target.partition(b"://")
    return b"/" + rest.partition(b"/")[2] if found else target


def stream_request(
    method: str,
    http_version: str,
    target: bytes,
    headers: Iterable[tuple[bytes, bytes]],
    header_bytes: int,
    *,
    pipelined: bool = False,
    response_unfinished: bool = False,
    write_buffer_used: bool = False,
) -> StreamRequest:
    """The request with this `target` (path and query) and `headers` (names in lower case).

    Of several cursors the last one counts. An offered upgrade is ignored (RFC 9110, 7.8).
    `header_bytes` is the size of the whole head; the flags are facts of the connection that forbid
    to take it over, see `StreamRequest`.
    """
    last_event_id = b""
    has_body = expects = False
    for name, value in headers:
        if name == _LAST_EVENT_ID:
            last_event_id = value.strip(b" \t")
        elif name == b"transfer-encoding" or (name == b"content-length" and value != b"0"):
            has_body = True
        elif name == b"expect":
            expects = True
    path, _, query = origin_form(target).partition(b"?")
    return StreamRequest(
        method,
        http_version,
        path,
        query.partition(b"#")[0],
        last_event_id,
        header_bytes,
        has_body,
        expects,
        pipelined,
        response_unfinished,
        write_buffer_used,
        None,
        headers,
    )
