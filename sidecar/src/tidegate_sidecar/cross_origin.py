"""CORS around an ASGI application: answers preflights, and completes the head of every answer.

Streams that have left ASGI carry the same headers, made beforehand (`engine.answers`).
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tidegate.contract.errors import CallerError
from tidegate.stream.cors import CorsPolicy, header_value
from tidegate.stream.decisions import Refuse
from tidegate.wire.http import Headers
from tidegate_sidecar.asgi import respond


def cross_origin(
    app: ASGIApp, cors: CorsPolicy, refuse: Callable[[CallerError], Refuse]
) -> ASGIApp:
    """`app` by the rules of `cors`; `refuse` counts a preflight of a page that is not allowed."""
    if not cors.is_on:
        return app

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = scope["headers"]
        origin = header_value(headers, b"origin")
        if _is_preflight(scope):
            wanted = header_value(headers, b"access-control-request-headers")
            await respond(send, *_preflight(cors, origin, wanted, refuse))
            return
        extra = cors.of(origin)

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *extra]
            await send(message)

        await app(scope, receive, complete)

    return serve


def _is_preflight(scope: Scope) -> bool:
    """WHATWG Fetch, 3.3.2: an OPTIONS that names an origin and the method to come."""
    names = {name for name, _ in scope["headers"]}
    return scope["method"] == "OPTIONS" and {b"origin", b"access-control-request-method"} <= names


def _preflight(
    cors: CorsPolicy, origin: bytes, wanted: bytes, refuse: Callable[[CallerError], Refuse]
) -> tuple[int, Headers, bytes]:
    allowed = cors.preflight(origin, wanted)
    if allowed is not None:
        return 204, allowed, b""
    detail = "pages of this origin are not on the list of allowed ones"
    refused = refuse(CallerError("origin_not_allowed", detail, "origin", status=403))
    return refused.status, (*refused.headers, *cors.of(origin)), refused.body
