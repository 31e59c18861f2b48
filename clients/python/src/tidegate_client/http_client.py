"""The part of an HTTP library that is used: httpx2, or httpx, whose API it continues."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Protocol


class HttpResponse(Protocol):
    """A response before its body is read."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The header fields; names without regard to case."""

    def aiter_bytes(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives, decompressed."""

    async def aclose(self) -> None:
        """Let go of the connection."""


class HttpClient(Protocol):
    """An `httpx2.AsyncClient` or `httpx.AsyncClient`; proxy, TLS and limits are set up there."""

    def build_request(
        self,
        method: str,
        url: str,
        *,
        content: bytes | None = None,
        headers: Any = None,
        timeout: Any = None,
    ) -> Any:
        """A request with the client's own base URL, parameters, headers and cookies."""

    async def send(
        self, request: Any, *, stream: bool = False, follow_redirects: Any = False
    ) -> Any:
        """Send it; with `stream`, the body is left to be read."""

    async def aclose(self) -> None:
        """Close all connections."""


HttpSource = HttpClient | Callable[[], HttpClient]
"""A client to use, which is not closed, or a function that makes one to be owned and closed."""
