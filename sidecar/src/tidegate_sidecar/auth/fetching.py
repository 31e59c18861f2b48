"""One GET of a small document, bounded in every way: time, bytes, no redirects, no proxies.

The address is an operator's, but the server behind it may be slow, broken or another one.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Final
from urllib.parse import urlsplit

import httptools

FETCH_S: Final = 5.0
MAX_BODY_BYTES: Final = 64 * 1024
MAX_ANSWER_BYTES: Final = MAX_BODY_BYTES + 16 * 1024
"""Body and head together."""

_READ_BYTES: Final = 16 * 1024


class FetchError(Exception):
    """Raised when there was no good answer; the message says why."""


class _Answer:
    """What httptools calls while it parses one response (its names)."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.body = b""
        self.complete = False

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self.body += body

    def on_message_complete(self) -> None:
        """The end of the response."""
        self.complete = True


async def fetch(url: str, tls: ssl.SSLContext | None, limit_s: float = FETCH_S) -> bytes:
    """The body of a 200 at `url`, with `tls` for https (``None``: the system's CAs).

    Raises `FetchError`, also for a redirect: another server was not configured.
    """
    try:
        async with asyncio.timeout(limit_s):
            return await _fetch(url, tls)
    except TimeoutError:
        raise FetchError(f"no answer within {limit_s:g} s") from None
    except (OSError, ValueError, httptools.HttpParserError) as error:
        raise FetchError(str(error) or type(error).__name__) from None


async def _fetch(url: str, tls: ssl.SSLContext | None) -> bytes:
    parts = urlsplit(url)
    is_tls = parts.scheme == "https"
    context = (tls or ssl.create_default_context()) if is_tls else None
    port = parts.port or (443 if is_tls else 80)
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=context)
    try:
        target = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
        head = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc.rpartition('@')[2]}\r\n"
        writer.write(f"{head}Accept: application/json\r\nConnection: close\r\n\r\n".encode())
        answer, size = _Answer(), 0
        while not answer.complete:
            piece = await reader.read(_READ_BYTES)
            size += len(piece)
            if not piece:
                raise FetchError("the connection ended before the answer")
            answer.parser.feed_data(piece)
            if size > MAX_ANSWER_BYTES or len(answer.body) > MAX_BODY_BYTES:
                raise FetchError(f"the answer has more than {MAX_BODY_BYTES} bytes")
        status = answer.parser.get_status_code()
        if status != 200:
            raise FetchError(f"status {status}")
        return answer.body
    finally:
        writer.close()
