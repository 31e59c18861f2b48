"""What the operator listens on: the report API on TLS, and probes and metrics in the clear.

Two questions a probe can ask. ``/readyz``: does this replica lead (then a Service that selects by
readiness reaches the leader only)? ``/syncedz``: could it lead (for a Deployment that must become
available with all its replicas, and selects the leader by its label)?
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tidegate.contract.names import PATH_LIVEZ, PATH_METRICS, PATH_READYZ
from tidegate_operator.meters import Meters

PATH_SYNCEDZ = "/syncedz"


@dataclass(frozen=True, slots=True)
class Condition:
    """What the probes ask: `problem` is ``None`` while the process is alive and well."""

    problem: Callable[[], str | None]
    leads: Callable[[], bool]
    synced: Callable[[], bool]


def leader_only(app: Starlette, serves: Callable[[], bool]) -> Starlette:
    """`app` while this replica serves; else a refusal that also ends the connection.

    A connection kept open would bring the pod back to this same replica past the Service.
    """

    async def gate(scope: Scope, receive: Receive, send: Send) -> None:
        if serves():
            await app(scope, receive, send)
            return
        refusal = JSONResponse(
            {"error": "not_leading", "detail": "another replica leads", "field": None},
            status_code=503,
            headers={"Connection": "close", "Retry-After": "1"},
        )
        await refusal(scope, receive, send)

    gated: ASGIApp = gate
    return Starlette(routes=[Mount("/", gated)])


def health_app(condition: Condition, meters: Meters) -> Starlette:
    """``/livez``, ``/readyz``, ``/syncedz`` and ``/metrics``."""

    async def livez(_: Request) -> Response:
        return _answer(condition.problem())

    async def readyz(_: Request) -> Response:
        return _answer(None if condition.leads() else "another replica leads")

    async def syncedz(_: Request) -> Response:
        return _answer(None if condition.synced() else "still listing")

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(meters.registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return Starlette(
        routes=[
            Route(PATH_LIVEZ, livez),
            Route(PATH_READYZ, readyz),
            Route(PATH_SYNCEDZ, syncedz),
            Route(PATH_METRICS, metrics),
        ]
    )


def _answer(problem: str | None) -> Response:
    if problem is None:
        return PlainTextResponse("ok\n")
    return PlainTextResponse(f"{problem}\n", status_code=503)
