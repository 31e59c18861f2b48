"""Posts small JSON documents to one address, over a connection that is kept.

Reports go out four times a second while a rollout runs, most of them given up for a newer one, in
the loop that also writes the streams. Measured against the same stub server in the same process:
2.5 ms of CPU a report with httpx, 0.9 ms with one request at a time over httptools.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import httptools

ANSWER_LIMIT_BYTES: Final = 64 * 1024
_READ_BYTES: Final = 16 * 1024
CONNECT_S: Final = 1.5
"""How long a connection may take, TLS included: the kernel of a process that was stopped accepts
connections, and nothing comes after that."""


class PostError(Exception):
    """Raised when there was no good answer: no connection, not HTTP, or a status but 200."""


class _ClosedError(PostError):
    """Raised when the connection ended before the answer."""


class _Answer:
    """What httptools calls while it parses one response (its names)."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.body = b""
        self.keep = False
        self.complete = False

    def on_headers_complete(self) -> None:
        """The head is in; later the parser no longer knows whether the connection stays."""
        self.keep = self.parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self.body += body

    def on_message_complete(self) -> None:
        """The end of the response."""
        self.complete = True


class Poster:
    """A client for `url` (http or https, then by `tls`); one request at a time.

    `token` gives the Bearer token of each request, empty for none. A request that is cancelled
    takes its connection with it, so that the other side stops waiting, too.
    """

    def __init__(
        self, url: str, token: Callable[[], str], tls: ssl.SSLContext | None = None
    ) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._host = parts.hostname
        self._tls = tls or ssl.create_default_context() if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        host = parts.netloc.rpartition("@")[2]
        self._head = f"POST {parts.path or '/'} HTTP/1.1\r\nHost: {host}\r\n"
        self._token = token
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, document: object) -> object:
        """Send `document` and return the answer's, both JSON; raises `PostError`.

        The caller bounds the time (the answer may be held back on purpose).
        """
        body = json.dumps(document, separators=(",", ":")).encode()
        token = self._token()
        fields = f"Authorization: Bearer {token}\r\n" if token else ""
        fields += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        head = (self._head + fields).encode()
        kept, self._connection = self._connection, None
        try:
            if kept is not None:
                with contextlib.suppress(_ClosedError, OSError):
                    # The server may have closed a kept connection; a new one decides.
                    return await self._exchange(kept, head + body)
            return await self._exchange(await self._connect(), head + body)
        except (OSError, ValueError, httptools.HttpParserError) as error:
            raise PostError(str(error) or type(error).__name__) from None

    async def close(self) -> None:
        """Close the kept connection."""
        kept, self._connection = self._connection, None
        if kept is not None:
            kept[1].close()
            with contextlib.suppress(OSError):
                await kept[1].wait_closed()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(CONNECT_S):
                return await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        except TimeoutError:
            raise PostError(f"no connection within {CONNECT_S:g} s") from None

    async def _exchange(
        self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: bytes
    ) -> object:
        reader, writer = connection
        keep = False
        try:
            writer.write(request)
            answer = _Answer()
            while not answer.complete:
                piece = await reader.read(_READ_BYTES)
                if not piece:
                    raise _ClosedError("the connection ended before the answer")
                if len(answer.body) > ANSWER_LIMIT_BYTES:
                    raise PostError(f"the answer has more than {ANSWER_LIMIT_BYTES} bytes")
                answer.parser.feed_data(piece)
            status = answer.parser.get_status_code()
            if status != 200:
                raise PostError(f"status {status}")
            document: object = json.loads(answer.body)
            keep = answer.keep
            return document
        finally:
            if keep:
                self._connection = connection
            else:
                writer.close()
