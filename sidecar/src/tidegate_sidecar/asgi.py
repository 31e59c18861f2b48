"""The little ASGI that the engine and the ports share: a request's raw path, a whole answer."""

from __future__ import annotations

from starlette.types import Scope, Send

from tidegate.wire.http import Headers


def raw_path(scope: Scope) -> bytes:
    """The request's path as it came, percent-encoded and without the query."""
    path: bytes = scope.get("raw_path") or str(scope["path"]).encode()
    return path.partition(b"?")[0]


async def start_response(send: Send, status: int, headers: Headers) -> None:
    """Send status and headers; body messages must follow."""
    await send({"type": "http.response.start", "status": status, "headers": [*headers]})


async def respond(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a whole answer."""
    await start_response(send, status, headers)
    await send({"type": "http.response.body", "body": body, "more_body": False})
