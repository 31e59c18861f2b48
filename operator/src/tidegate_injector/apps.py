"""The injector's two applications: the webhook on TLS, and health on a port of its own.

Health is plain HTTP on another port, because it must answer while there is no certificate yet.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from tidegate.contract.errors import CallerError, DocumentError
from tidegate.contract.kube import PATH_INJECT
from tidegate.contract.names import PATH_LIVEZ, PATH_READYZ
from tidegate.injection.settings import InjectionSettings
from tidegate_injector.meters import Meters
from tidegate_injector.review import check_before_parsing, review
from tidegate_process.http import INTERNAL, health_routes, make_app, parse_json, read_body
from tidegate_process.limits import PortLimits

MAX_REVIEW_BYTES: Final = 3 * 2**20
"""A review holds the pod once at CREATE, and etcd takes objects of 1.5 MiB; JSON may be longer."""

MAX_UNSEEN_BYTES: Final = 4096
"""Longer bodies are looked at before they are parsed; the parser explains better."""

REVIEW_S: Final = 10.0
"""The API server gives up after 10 s (`timeoutSeconds` of the webhook)."""

TOKEN_BYTES: Final = 24

WEBHOOK_LIMITS: Final = PortLimits(
    connections=1024, request_s=REVIEW_S, write_s=REVIEW_S, body_bytes=6 * MAX_REVIEW_BYTES
)
"""API servers keep a few connections each."""

HEALTH_LIMITS: Final = PortLimits(
    connections=64,
    kept=32,
    kept_paths=frozenset(path.encode() for path in (PATH_LIVEZ, PATH_READYZ)),
)

_log = logging.getLogger("tidegate.injector")


def webhook_app(settings: Callable[[], InjectionSettings], meters: Meters) -> ASGIApp:
    """``POST /v1/inject``: AdmissionReview v1. `settings` is asked each time, for the CA's sake.

    What is no review gets 400 (413 when too large) with ``{"error", "detail", "field"}``.
    """

    async def inject(request: Request) -> Response:
        body = await read_body(request, MAX_REVIEW_BYTES, REVIEW_S)
        if len(body) > MAX_UNSEEN_BYTES:
            check_before_parsing(body)
        document = parse_json(body)
        try:
            with meters.review_seconds.time():
                reviewed = review(document, settings(), secrets.token_urlsafe(TOKEN_BYTES))
        except DocumentError as error:
            raise CallerError("bad_review", str(error), error.field or None) from None
        meters.reviews.labels(decision=reviewed.decision).inc()
        if reviewed.decision == "denied":
            message = reviewed.answer["response"]["status"]["message"]
            _log.warning("denied: %s", message, extra={"pod": reviewed.pod})
        return JSONResponse(reviewed.answer)

    def refused(code: str) -> None:
        decision = "failed" if code == INTERNAL else "malformed"
        meters.reviews.labels(decision=decision).inc()

    return make_app([Route(PATH_INJECT, inject, methods=["POST"])], refused)


def health_app(is_ready: Callable[[], bool], meters: Meters) -> ASGIApp:
    """`/livez`, `/readyz` (503 without a certificate or while stopping) and `/metrics`."""
    pages = {
        PATH_LIVEZ: lambda: None,
        PATH_READYZ: lambda: None if is_ready() else "no certificate yet, or stopping",
    }
    return make_app(health_routes(pages, meters.registry), lambda _: None)
