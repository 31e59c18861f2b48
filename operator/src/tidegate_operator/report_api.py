"""The port that sidecars post their reports to, and get the answer from.

`POST /v1/report` with a Bearer token that identifies a pod: 401 for a token of no pod, 403 for a
report about another pod, 400 with ``{"error", "detail", "field"}`` for a malformed one, 503 while
the cluster cannot review tokens. `/metrics` and `/livez` beside it.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from tidegate.contract.errors import CallerError, ClusterError, DocumentError
from tidegate.contract.names import PATH_LIVEZ, PATH_REPORT
from tidegate.contract.report import Report
from tidegate_operator.cluster import Cluster
from tidegate_operator.meters import Meters
from tidegate_operator.report_limits import MAX_REPORTING_PODS, REPORT_LIMITS
from tidegate_operator.reports import ReportBook
from tidegate_process.http import health_routes, make_app, read_json
from tidegate_process.listeners import bind
from tidegate_process.ports import Port
from tidegate_process.serving import Server

MAX_REPORT_BYTES: Final = 64 * 1024


def report_app(cluster: Cluster, book: ReportBook, meters: Meters) -> ASGIApp:
    """The ASGI application over a report book; tokens are checked by `cluster`."""

    async def post_report(request: Request) -> Response:
        try:
            uid = await cluster.identify(_bearer(request))
        except ClusterError as error:
            raise CallerError("unavailable", str(error), status=503) from None
        if uid is None:
            raise CallerError("unauthorized", "no pod has this token", status=401)
        try:
            report = Report.from_json(await read_json(request, MAX_REPORT_BYTES))
        except DocumentError as error:
            raise CallerError("bad_report", str(error), error.field or None) from None
        if report.uid != uid:
            raise CallerError("wrong_pod", "the token is another pod's", "uid", 403)
        meters.reports.inc()
        return await _hold(request, book, report, meters)

    return make_app(
        [
            Route(PATH_REPORT, post_report, methods=["POST"]),
            *health_routes({PATH_LIVEZ: lambda: None}, meters.registry),
        ],
        lambda error: meters.refused.labels(reason=error).inc(),
    )


def report_server(
    app: ASGIApp,
    host: str,
    number: int = 0,
    tls: ssl.SSLContext | None = None,
    descriptors_below: int | None = None,
    pods: int = MAX_REPORTING_PODS,
) -> Server:
    """`app` on a port of `host` (0: a free one); raises `SettingsError` when it is taken."""
    limits = replace(REPORT_LIMITS, connections=pods)
    port = Port("report", limits, time.monotonic, descriptors_below)
    return Server(app, bind(host, number, "TIDEGATE_REPORT_PORT"), port, tls=tls)


async def _hold(request: Request, book: ReportBook, report: Report, meters: Meters) -> Response:
    """Answer when there is news; a sidecar that hangs up before frees its place at once."""
    answer = asyncio.ensure_future(book.answer(report))
    hung_up = asyncio.ensure_future(_disconnected(request))
    try:
        with meters.held.track_inprogress():
            await asyncio.wait((answer, hung_up), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            return Response(status_code=204)
        meters.answers.inc()
        return JSONResponse(answer.result().to_json())
    finally:
        for task in (answer, hung_up):
            task.cancel()
        await asyncio.gather(answer, hung_up, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
