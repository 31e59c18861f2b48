"""Answers that all three ports give alike: JSON errors with a code, a sentence and a field."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute

from tidegate.contract.errors import BackplaneUnavailableError, CallerError

CountRefusal = Callable[[str], None]
"""Counts a refusal by its error code."""

_Handler = Callable[[Request, Exception], Response | Awaitable[Response]]

_WORDS = {404: ("not_found", "nothing is served here"), 405: ("bad_method", "not by this method")}


def unavailable_json(error: BackplaneUnavailableError) -> dict[str, Any]:
    """The body that says that nothing was accepted and when to try again."""
    detail = f"{error}; try again in {error.retry_after_s:g} s"
    return {"error": "unavailable", "detail": detail, "field": None}


def retry_after(error: BackplaneUnavailableError) -> dict[str, str]:
    """The header for it, in whole seconds (RFC 9110, section 10.2.3)."""
    return {"Retry-After": str(math.ceil(error.retry_after_s))}


def make_app(routes: list[BaseRoute], refused: CountRefusal) -> Starlette:
    """A starlette application whose every error is JSON and counted."""

    def caller(_: Request, error: Exception) -> Response:
        assert isinstance(error, CallerError)
        refused(error.code)
        return JSONResponse(error.to_json(), status_code=error.status)

    def unavailable(_: Request, error: Exception) -> Response:
        assert isinstance(error, BackplaneUnavailableError)
        refused("unavailable")
        body, headers = unavailable_json(error), retry_after(error)
        return JSONResponse(body, status_code=503, headers=headers)

    def http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code, detail = _WORDS.get(error.status_code, ("bad_request", str(error.detail)))
        refused(code)
        headers = None if error.headers is None else dict(error.headers)
        body = {"error": code, "detail": detail, "field": None}
        return JSONResponse(body, status_code=error.status_code, headers=headers)

    handlers: Mapping[Any, _Handler] = {
        CallerError: caller,
        BackplaneUnavailableError: unavailable,
        HTTPException: http,
    }
    return Starlette(routes=routes, exception_handlers=handlers)


async def read_body(request: Request, limit: int, limit_s: float | None = None) -> bytes:
    """The request's body of at most `limit` bytes, within `limit_s`; raises `CallerError`."""
    try:
        async with asyncio.timeout(limit_s):
            return await _read_up_to(request, limit)
    except ClientDisconnect:
        raise CallerError("incomplete_body", "the body did not come whole") from None
    except TimeoutError:
        detail = f"the body must come within {limit_s} s"
        raise CallerError("slow_body", detail, status=408) from None


async def _read_up_to(request: Request, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise CallerError("body_too_large", f"at most {limit} bytes", status=413)
        parts.append(part)
    return b"".join(parts)
