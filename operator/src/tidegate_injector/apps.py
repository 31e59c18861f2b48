"""The injector's two applications: the webhook on TLS, and health on a port of its own.

Health is plain HTTP on another port, because it must answer while there is no certificate yet.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tidegate.contract.errors import CallerError, DocumentError
from tidegate.contract.kube import PATH_INJECT
from tidegate.contract.names import PATH_LIVEZ, PATH_METRICS, PATH_READYZ
from tidegate.injection.settings import InjectionSettings
from tidegate_injector.meters import Meters
from tidegate_injector.review import review

MAX_REVIEW_BYTES: Final = 8 * 2**20
"""A review holds the pod once at CREATE; etcd takes objects of 1.5 MiB."""

TOKEN_BYTES: Final = 24

_log = logging.getLogger("tidegate.injector")


def webhook_app(settings: Callable[[], InjectionSettings], meters: Meters) -> Starlette:
    """``POST /v1/inject``: AdmissionReview v1. `settings` is asked each time, for the CA's sake.

    What is no review gets 400 (413 when too large) with ``{"error", "detail", "field"}``.
    """

    async def inject(request: Request) -> Response:
        try:
            document = await _json_body(request)
            with meters.review_seconds.time():
                reviewed = review(document, settings(), secrets.token_urlsafe(TOKEN_BYTES))
        except DocumentError as error:
            meters.reviews.labels(decision="malformed").inc()
            return _error(CallerError("bad_review", str(error), error.field or None))
        except CallerError as error:
            meters.reviews.labels(decision="malformed").inc()
            return _error(error)
        meters.reviews.labels(decision=reviewed.decision).inc()
        if reviewed.decision == "denied":
            message = reviewed.answer["response"]["status"]["message"]
            _log.warning(message, extra={"pod": reviewed.pod})
        return JSONResponse(reviewed.answer)

    return Starlette(routes=[Route(PATH_INJECT, inject, methods=["POST"])])


def health_app(is_ready: Callable[[], bool], meters: Meters) -> Starlette:
    """`/livez`, `/readyz` (503 without a certificate or while stopping) and `/metrics`."""

    async def livez(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        if is_ready():
            return PlainTextResponse("ok\n")
        return PlainTextResponse("no certificate yet, or stopping\n", status_code=503)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(meters.registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            Route(PATH_LIVEZ, livez),
            Route(PATH_READYZ, readyz),
            Route(PATH_METRICS, metrics),
        ]
    )


async def _json_body(request: Request) -> object:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_REVIEW_BYTES:
            raise CallerError("too_large", f"at most {MAX_REVIEW_BYTES} bytes", status=413)
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise CallerError("bad_json", f"not JSON: {error}") from None
    return value


def _error(error: CallerError) -> Response:
    return JSONResponse(error.to_json(), status_code=error.status)
