"""The operator's only door: sidecars post their report here and get the answer.

`POST /v1/report` with a Bearer token that identifies a pod: 401 for a token of no pod, 403 for a
report about another pod, 400 with ``{"error", "detail", "field"}`` for a malformed one, 503 while
the cluster cannot review tokens. `/metrics` and `/livez` beside
it.
"""

from __future__ import annotations

import asyncio
import json

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tidegate.contract.errors import CallerError, ClusterError, DocumentError
from tidegate.contract.names import PATH_LIVEZ, PATH_METRICS, PATH_REPORT
from tidegate.contract.report import Report
from tidegate_operator.cluster import Cluster
from tidegate_operator.meters import Meters
from tidegate_operator.reports import ReportBook

MAX_REPORT_BYTES = 64 * 1024


def report_app(cluster: Cluster, book: ReportBook, meters: Meters) -> Starlette:
    """The ASGI application over a report book; tokens are checked by `cluster`."""

    async def post_report(request: Request) -> Response:
        try:
            return await take(request)
        except ClientDisconnect:
            # A sidecar drops a held report for a newer one at any time; this answer is never read.
            meters.refused.labels(reason="hung_up").inc()
            return Response(status_code=204)

    async def take(request: Request) -> Response:
        try:
            uid = await cluster.identify(_bearer(request))
        except ClusterError as error:
            meters.refused.labels(reason="cluster").inc()
            return _error(CallerError("unavailable", str(error), status=503))
        if uid is None:
            meters.refused.labels(reason="token").inc()
            return _error(CallerError("unauthorized", "no pod has this token", status=401))
        try:
            report = Report.from_json(await _json_body(request))
            if report.uid != uid:
                raise CallerError("wrong_pod", "the token is another pod's", "uid", 403)
        except DocumentError as error:
            meters.refused.labels(reason="malformed").inc()
            return _error(CallerError("bad_report", str(error), error.field or None))
        except CallerError as error:
            meters.refused.labels(reason=error.code).inc()
            return _error(error)
        meters.reports.inc()
        return await _hold(request, book, report, meters)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(meters.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return Starlette(
        routes=[
            Route(PATH_REPORT, post_report, methods=["POST"]),
            Route(PATH_METRICS, metrics),
            Route(PATH_LIVEZ, _livez),
        ]
    )


async def _livez(_: Request) -> Response:
    return PlainTextResponse("ok\n")


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


async def _json_body(request: Request) -> object:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_REPORT_BYTES:
            raise CallerError("too_large", f"at most {MAX_REPORT_BYTES} bytes", status=413)
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise CallerError("bad_json", f"not JSON: {error}") from None
    return value


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _error(error: CallerError) -> Response:
    return JSONResponse(error.to_json(), status_code=error.status)
