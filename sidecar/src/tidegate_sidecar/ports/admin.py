"""The admin port: probes, the preStop hook, metrics and status.

In a cluster it is reached from the pod network, by whatever name or address. On loopback, where it
listens otherwise, only the probes answer what a web page may have sent (`local_only`).

Readiness means: listening, and the ring filled once. Nothing takes it back: a broker that is away
must not empty every Service, and failing it while draining would make some load balancers cut the
streams that are being let go politely.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tidegate.contract import names
from tidegate.contract.errors import CallerError
from tidegate_process.http import health_routes, make_app
from tidegate_process.limits import PortLimits
from tidegate_sidecar.metrics import Metrics
from tidegate_sidecar.ports.local_only import check_local, local_only
from tidegate_sidecar.reporting.report import Pod

_KEPT: Final = (
    names.PATH_LIVEZ,
    names.PATH_READYZ,
    names.PATH_DRAIN_POD,
    names.PATH_DRAIN_APP,
)

ADMIN_LIMITS: Final = PortLimits(
    connections=64,
    kept=32,
    kept_paths=frozenset(path.encode() for path in _KEPT),
)

HOOKS_APART_S: Final = 2.0
"""How long the hooks of one deletion may be apart; the kubelet starts them within 20 ms."""

LEAST_DIGITS: Final = 4


class AdminPort:
    """The handlers of the port; `app` serves them.

    `is_filled` answers whether the ring was filled, `prestop` drains the pod and returns when it
    may be stopped. An empty `token` means that none is asked for. `is_local`: it listens on
    loopback. `no_keys` is why tokens cannot be verified yet.
    """

    def __init__(
        self,
        pod: Pod,
        is_filled: Callable[[], bool],
        prestop: Callable[[], Awaitable[None]],
        metrics: Metrics,
        token: str,
        is_local: bool = False,
        no_keys: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._pod = pod
        self._is_filled = is_filled
        self._prestop = prestop
        self._metrics = metrics
        self._token = token
        self._is_local = is_local
        self._no_keys = no_keys
        self._hooked = asyncio.Event()

    def app(self) -> Starlette:
        """The ASGI application."""
        routes = [
            *health_routes(
                {names.PATH_LIVEZ: lambda: None, names.PATH_READYZ: self.not_ready},
                self._metrics.registry,
                self.remark,
            ),
            Route(names.PATH_STATUS, self.status),
            Route(names.PATH_DRAIN_POD, self.drain_pod, methods=["GET", "POST"]),
            Route(names.PATH_DRAIN_APP, self.drain_app, methods=["GET", "POST"]),
        ]
        if self._is_local:
            routes = [_local(route) for route in routes]
        return make_app(routes, self._refused)

    def _refused(self, error: str) -> None:
        self._metrics.refused("admin", error)

    def not_ready(self) -> str | None:
        """``None`` once the ring was filled and tokens can be verified, else what is lacking."""
        if self._is_filled():
            return self._no_keys()
        return "the ring is not filled yet" + self.remark()

    def remark(self) -> str:
        """The problem with the log, if there is one: a pod that was ready once stays ready."""
        problem = self._pod.problem()
        return "" if problem is None else f": {problem}"

    async def status(self, _: Request) -> Response:
        """The next report, and more."""
        return JSONResponse(self._pod.status())

    async def drain_pod(self, request: Request) -> Response:
        """The preStop hook: drains, and answers when the pod may be sent SIGTERM.

        By POST, or with the pod's token by GET; without a token from this machine only, and not by
        a web page, which can make a browser send either.

        The kubelet's httpGet hook is a GET without a time-out of its own that ignores the status;
        it may call twice (kubelet restart), and the second call waits for the same end.
        """
        self._check(request)
        self._hooked.set()
        await self._prestop()
        return self._drained()

    async def drain_app(self, request: Request) -> Response:
        """The preStop hook of an application's container: answers when the pod has drained.

        The kubelet calls all hooks of a pod that is deleted at the same time. Where the pod's own
        does not come, this container alone is being restarted, and nothing is to be waited for.
        """
        self._check(request)
        least_s = _least_s(request.query_params.get(names.QUERY_LEAST_S, "0"))
        sleeping = asyncio.ensure_future(asyncio.sleep(least_s))
        try:
            async with asyncio.timeout(HOOKS_APART_S):
                await self._hooked.wait()
        except TimeoutError:
            pass
        else:
            await self._prestop()
        await sleeping
        return self._drained()

    def _drained(self) -> Response:
        status = self._pod.status()
        return JSONResponse({"state": status["state"], "streams": status["streams"]})

    def _check(self, request: Request) -> None:
        """Raise `CallerError` for a peer that may not drain the pod."""
        if not self._token:
            check_local(request)
            if request.method != "POST":
                detail = "draining is a POST; GET is for the kubelet's hook, with a pod's token"
                raise CallerError("bad_method", detail, status=405)
        shown = request.headers.get(names.HEADER_POD_TOKEN, "")
        if self._token and not hmac.compare_digest(shown.encode(), self._token.encode()):
            detail = f"the header {names.HEADER_POD_TOKEN} does not hold this pod's token"
            raise CallerError("bad_token", detail, names.HEADER_POD_TOKEN, status=403)


def _least_s(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= LEAST_DIGITS):
        problem = f"must be whole seconds of at most {LEAST_DIGITS} digits"
        raise CallerError("bad_query", problem, names.QUERY_LEAST_S)
    return int(text)


def _local(route: Route) -> Route:
    if route.path in (names.PATH_LIVEZ, names.PATH_READYZ):
        return route  # they show nothing, and a probe may use any name
    return Route(route.path, local_only(route.endpoint), methods=route.methods)
