"""What the operator listens on: the report API on TLS, and probes and metrics in the clear.

Two questions a probe can ask. ``/readyz``: does this replica lead (then a Service that selects by
readiness reaches the leader only)? ``/syncedz``: could it lead (for a Deployment that must become
available with all its replicas, and selects the leader by its label)?
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tidegate.contract.errors import CallerError
from tidegate.contract.names import PATH_LIVEZ, PATH_READYZ
from tidegate_operator.meters import Meters
from tidegate_process.http import error_response, health_routes, make_app
from tidegate_process.limits import PortLimits

PATH_SYNCEDZ: Final = "/syncedz"

_PROBES: Final = (PATH_LIVEZ, PATH_READYZ, PATH_SYNCEDZ)

HEALTH_LIMITS: Final = PortLimits(
    connections=64, kept=32, kept_paths=frozenset(path.encode() for path in _PROBES)
)


@dataclass(frozen=True, slots=True)
class Condition:
    """What the probes ask: `problem` is ``None`` while the process is alive and well."""

    problem: Callable[[], str | None]
    leads: Callable[[], bool]
    synced: Callable[[], bool]


def leader_only(app: ASGIApp, serves: Callable[[], bool]) -> ASGIApp:
    """`app` while this replica serves; else a refusal that also ends the connection.

    A connection kept open would bring the pod back to this same replica past the Service. A report
    is held for seconds, so the answer is refused as well: the plan in it may be another's by then.
    """
    error = CallerError("not_leading", "another replica leads", status=503)
    refusal = error_response(error, {"Connection": "close", "Retry-After": "1"})

    async def gate(scope: Scope, receive: Receive, send: Send) -> None:
        refused = False

        async def send_if_serving(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and not serves():
                refused = True
                await refusal(scope, receive, send)
            if not refused:
                await send(message)

        if serves():
            await app(scope, receive, send_if_serving)
        else:
            await refusal(scope, receive, send)

    return gate


def health_app(condition: Condition, meters: Meters) -> ASGIApp:
    """``/livez``, ``/readyz``, ``/syncedz`` and ``/metrics``."""
    pages = {
        PATH_LIVEZ: condition.problem,
        PATH_READYZ: lambda: None if condition.leads() else "another replica leads",
        PATH_SYNCEDZ: lambda: None if condition.synced() else "still listing",
    }
    return make_app(health_routes(pages, meters.registry), lambda _: None)
