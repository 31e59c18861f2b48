"""HTTP as every port of ours answers it: errors as JSON, bounded bodies, health pages.

An error is ``{"error", "detail", "field"}`` with the same code on every port: `CallerError` with
its own, 503 ``unavailable`` with ``Retry-After`` where trying again helps, 404, 405, and 500
``internal`` where the fault is ours.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tidegate.auth.refusals import challenge
from tidegate.contract.errors import BackplaneUnavailableError, CallerError
from tidegate.contract.names import PATH_METRICS
from tidegate_process.logs import LIMITED

INTERNAL: Final = "internal"
"""The code of an error that is ours."""

_SHOWN: Final = 200
"""Characters of a path that the log gets."""

BODY_S: Final = 30.0
"""How long a request's body may take by default."""

CountRefusal = Callable[[str], None]
"""Counts a refusal by its error code."""

_log = logging.getLogger(LIMITED)

_Handler = Callable[[Request, Exception], Response | Awaitable[Response]]

_WORDS = {
    404: ("not_found", "no such path"),
    405: ("bad_method", "this method is not allowed"),
}


def error_response(error: CallerError, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to a caller's mistake."""
    asked = challenge(error)
    if asked is not None:
        headers = {**(headers or {}), "WWW-Authenticate": asked}
    return JSONResponse(error.to_json(), status_code=error.status, headers=headers)


def unavailable(error: BackplaneUnavailableError) -> CallerError:
    """The 503 for a request that was not accepted, with the time to retry."""
    detail = f"{error}; try again in {error.retry_after_s:g} s"
    return CallerError("unavailable", detail, status=503)


def retry_after(seconds: float) -> dict[str, str]:
    """The header for it, in whole seconds (RFC 9110, section 10.2.3)."""
    return {"Retry-After": str(math.ceil(seconds))}


async def busy(scope: Scope, receive: Receive, send: Send) -> None:
    """The application for a request that its port has no place for (see `ports`)."""
    error = CallerError("busy", "too many concurrent requests", status=503)
    response = error_response(error, {**retry_after(1), "Connection": "close"})
    await response(scope, receive, send)


def make_app(routes: Sequence[BaseRoute], refused: CountRefusal) -> Starlette:
    """A starlette application that answers every error as counted JSON, and never redirects."""

    def caller(_: Request, error: Exception) -> Response:
        assert isinstance(error, CallerError)
        refused(error.code)
        return error_response(error)

    def away(_: Request, error: Exception) -> Response:
        assert isinstance(error, BackplaneUnavailableError)
        refused("unavailable")
        return error_response(unavailable(error), retry_after(error.retry_after_s))

    def http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code, detail = _WORDS.get(error.status_code, ("bad_request", str(error.detail)))
        refused(code)
        return error_response(CallerError(code, detail, status=error.status_code), error.headers)

    handlers: Mapping[Any, _Handler] = {
        CallerError: caller,
        BackplaneUnavailableError: away,
        HTTPException: http,
    }
    failures = Middleware(_Failures, refused=refused)
    app = Starlette(routes=list(routes), exception_handlers=handlers, middleware=[failures])
    app.router.redirect_slashes = False  # it would send callers to the Host that they name
    return app


class _Failures:
    """Answers 500 for an exception that no handler knows: it is counted, and logged in one record.

    Starlette's own handler of `Exception` answers, too, and then raises it on to the web server,
    which writes it once more with every frame of the frameworks.
    """

    def __init__(self, app: ASGIApp, refused: CountRefusal) -> None:
        self._app = app
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            self._refused(INTERNAL)
            _log.exception("a request failed", extra={"path": str(scope.get("path", ""))[:_SHOWN]})
            if begun:
                raise  # the web server can only break the answer off
            error = CallerError(INTERNAL, "internal error; see the log", status=500)
            await error_response(error)(scope, receive, send)


def health_routes(
    conditions: Mapping[str, Callable[[], str | None]],
    registry: CollectorRegistry,
    remark: Callable[[], str] = str,
) -> list[Route]:
    """A page for each of `conditions` by its path (``None``: ok; else 503 with the problem), and
    `/metrics`.

    `remark` follows an ``ok``: a problem that takes no traffic away.
    """

    def page(problem: Callable[[], str | None]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(_: Request) -> Response:
            found = problem()
            if found is None:
                return PlainTextResponse(f"ok{remark()}\n")
            return PlainTextResponse(f"{found}\n", status_code=503)

        return answer

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    pages = [Route(path, page(problem)) for path, problem in conditions.items()]
    return [*pages, Route(PATH_METRICS, metrics)]


async def read_body(request: Request, limit: int, limit_s: float = BODY_S) -> bytes:
    """The request's body of at most `limit` bytes, within `limit_s`.

    Raises `CallerError`: 413 ``body_too_large``, 408 ``slow_body``, 400 ``incomplete_body``.
    """
    try:
        async with asyncio.timeout(limit_s):
            return await _read_up_to(request, limit)
    except ClientDisconnect:
        raise CallerError("incomplete_body", "the body is incomplete") from None
    except TimeoutError:
        detail = f"the body must arrive within {limit_s:g} s"
        raise CallerError("slow_body", detail, status=408) from None


async def read_json(request: Request, limit: int, limit_s: float = BODY_S) -> object:
    """The same as a JSON value; raises `CallerError` ``bad_json`` in addition."""
    return parse_json(await read_body(request, limit, limit_s))


def parse_json(body: bytes) -> object:
    """`body` as a JSON value; raises `CallerError` ``bad_json``, also for one nested too deeply."""
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise CallerError("bad_json", f"not JSON: {error}") from None
    return value


async def _read_up_to(request: Request, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise CallerError("body_too_large", f"at most {limit} bytes", status=413)
        parts.append(part)
    return b"".join(parts)
