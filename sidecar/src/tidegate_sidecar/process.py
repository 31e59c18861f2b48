"""One sidecar: puts the parts together, runs them, and ends them in the right order.

Beginning: listen first (bouncing), then fill the ring, then be ready. End: the streams are let go
with the listeners open, then the servers exit, then the backplane is left. Only a peer that does
not read is cut off when its time is up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from typing import TYPE_CHECKING, Any, Final, TextIO

from tidegate.contract.sidecar import SidecarSettings, env
from tidegate.drain.drain import Drain
from tidegate.stream.log import EventLog
from tidegate_process.descriptors import Descriptors
from tidegate_process.limits import PortLimits
from tidegate_process.listeners import is_loopback
from tidegate_process.loops import run
from tidegate_process.memory_limit import memory_limit_bytes
from tidegate_process.ports import Port
from tidegate_process.serving import Server, announce
from tidegate_process.signals import stop_on_signals
from tidegate_sidecar.backplane.choice import make_backplane
from tidegate_sidecar.drainer import Drainer
from tidegate_sidecar.engine import Engine, tune_listener
from tidegate_sidecar.listeners import Listeners
from tidegate_sidecar.machine import within
from tidegate_sidecar.metrics import Metrics
from tidegate_sidecar.ports.acknowledge import Acknowledgements, AcknowledgePort
from tidegate_sidecar.ports.admin import ADMIN_LIMITS, AdminPort
from tidegate_sidecar.ports.public import make_public_app
from tidegate_sidecar.ports.publish import PublishPort
from tidegate_sidecar.reporting.report import Pod
from tidegate_sidecar.reporting.reporter import Reporter
from tidegate_sidecar.reporting.starting import make_reporter, start_logged

if TYPE_CHECKING:
    from tidegate_sidecar.auth.service import Authentication

PUBLISH_LIMITS: Final = PortLimits(connections=1024, keep_alive_s=75, body_bytes=48 * 2**20)
"""The application keeps its connections between events, and has a pool of them. Three of the
largest bodies may be in work at a time."""

LEAVE_LIMIT_S: Final = 0.5
"""How long leaving the backplane may take; what was acknowledged is safe already."""

_EMPTY_EPOCH: Final = "0"
"""The ring's epoch until the backplane reports its own; no stream ever sees it."""

_log = logging.getLogger("tidegate.process")


class Sidecar:
    """The process. `run` serves until a signal ends it and returns the exit status."""

    def __init__(
        self, settings: SidecarSettings, listeners: Listeners, descriptors: Descriptors
    ) -> None:
        tune_listener(listeners.public, settings.streams.write_timeout_s)
        self._listeners = listeners
        self._asked = settings.limits.max_streams
        self._settings = within(settings, descriptors.for_streams, memory_limit_bytes())
        self._descriptors = descriptors

    async def run(self, output: TextIO | None) -> int:
        """Serve. Writes one JSON line with the ports to `output` once all of them are served."""
        self._build()
        return await self._serve(output)

    def _build(self) -> None:
        settings, clock = self._settings, time.monotonic
        loop = asyncio.get_running_loop()
        below = self._descriptors
        streams = settings.streams
        self._auth = _authentication(settings)
        guard = None if self._auth is None else self._auth.guard
        ring = EventLog(_EMPTY_EPOCH, max_events=streams.ring_events, max_bytes=streams.ring_bytes)
        name = settings.identity.pod_name
        self._backplane = make_backplane(settings, clock)
        self._acknowledgements = Acknowledgements(
            self._backplane.acks, ring, self._backplane.log.newest
        )
        self._engine = Engine(
            streams,
            settings.limits,
            ring,
            pod_name=name,
            clock=clock,
            loop=loop,
            recall=self._acknowledgements.recall,
            guard=guard,
            descriptors_below=below.below_public,
        )
        self._ports = (
            self._engine.port,
            Port("admin", ADMIN_LIMITS, clock, below.below_own),
            Port("publish", PUBLISH_LIMITS, clock, below.below_own),
        )
        self._drain = Drain(settings.drain, streams, operator=settings.operator.url is not None)
        self._drainer = Drainer(self._drain, self._engine, clock, loop)
        self._engine.reader.when_filled(self._drainer.filled)
        health = self._backplane.health
        self._metrics = Metrics(self._drain, self._engine, health, self._ports, self._auth)
        shown = _auth_off if self._auth is None else self._auth.status
        self._pod = Pod(settings, self._drain, self._engine, health, clock, shown)
        self._reporter = self._make_reporter()

    def _servers(self) -> list[Server]:
        settings = self._settings
        ports, listeners = self._ports, self._listeners
        guard = None if self._auth is None else self._auth.guard
        acknowledge = AcknowledgePort(self._acknowledgements, self._metrics, guard).app()
        public = make_public_app(
            self._engine.asgi_app, acknowledge, self._engine.admission.cors, self._metrics
        )
        admin = AdminPort(
            self._pod,
            lambda: self._engine.reader.is_filled,
            self._drainer.prestop,
            self._metrics,
            settings.identity.pod_token,
            is_loopback(listeners.admin),
            _none if self._auth is None else self._auth.not_ready,
        )
        publish = PublishPort(
            self._backplane.log, self._engine, self._metrics, settings.limits.max_event_bytes
        )
        protocol = self._engine.protocol_class()
        return [
            Server(public, listeners.public, ports[0], protocol=protocol),
            Server(admin.app(), listeners.admin, ports[1]),
            Server(publish.app(), listeners.publish, ports[2]),
        ]

    async def _serve(self, output: TextIO | None) -> int:
        stop = asyncio.Event()
        stop_on_signals(asyncio.get_running_loop(), stop.set)
        servers = self._servers()
        self._engine.start()
        for server in servers:
            await server.start()
        announce(output, **self._listeners._asdict())
        self._warn_of_few_descriptors()
        if self._auth is None:
            _log.warning(
                "authentication is off: whatever reaches the public port may read every channel "
                "(%s=jwt asks for a token)",
                env("auth"),
            )
        await self._backplane.log.start(self._engine.reader)
        reporting = self._report()
        refreshing = self._refresh_keys()
        ended = asyncio.gather(*(server.ended() for server in servers))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((stopping, ended), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if refreshing is not None:
            refreshing.cancel()
        if not stop.is_set():
            _log.error("a server ended unexpectedly")
        await self._end(servers, ended, reporting)
        return 0 if stop.is_set() else 1

    def _warn_of_few_descriptors(self) -> None:
        most = self._settings.limits.max_streams
        if most < self._asked:
            _log.warning(
                "%s is %d, but the system's limit of %d file descriptors allows %d streams; beyond "
                "that they are bounced (raise the limit, ulimit -n)",
                *(env("max_streams"), self._asked, self._descriptors.limit, most),
            )

    def _make_reporter(self) -> Reporter | None:
        settings = self._settings
        return make_reporter(
            settings.operator,
            settings.identity.pod_token,
            self._pod,
            self._drainer,
            self._metrics,
        )

    def _report(self) -> asyncio.Task[None] | None:
        if self._reporter is None:
            return None
        return start_logged(self._reporter.run(), "reporter")

    def _refresh_keys(self) -> asyncio.Task[None] | None:
        if self._auth is None:
            return None
        return start_logged(self._auth.run(), "keys")

    async def _end(
        self,
        servers: list[Server],
        ended: asyncio.Future[Any],
        reporting: asyncio.Task[None] | None,
    ) -> None:
        _log.info("stopping", extra={"streams": self._engine.open_count})
        self._acknowledgements.hurry()
        await self._drainer.sigterm()
        aborted = self._engine.abort_lingering()
        if aborted:
            _log.warning("ended %d streams whose clients did not read", aborted)
        if reporting is not None:
            reporting.cancel()
        await asyncio.gather(ended, *(server.stop() for server in servers), return_exceptions=True)
        self._drainer.stop()
        self._engine.stop()
        await self._acknowledgements.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_LIMIT_S):
                await self._backplane.log.stop()
        if reporting is not None:
            await asyncio.gather(reporting, return_exceptions=True)
        _log.info("stopped")


def _authentication(settings: SidecarSettings) -> Authentication | None:
    if settings.auth.mode == "off":
        return None
    # Imported here: cryptography costs memory and time that a pod without it does not spend.
    from tidegate_sidecar.auth.service import Authentication

    streams = settings.streams
    return Authentication(settings.auth, streams.cors_origins, settings.limits.max_streams)


def _none() -> None:
    return None


def _auth_off() -> dict[str, str]:
    return {"mode": "off"}


def run_sidecar(settings: SidecarSettings, listeners: Listeners, descriptors: Descriptors) -> int:
    """Run a sidecar on uvloop where there is one; returns the exit status."""
    return run(Sidecar(settings, listeners, descriptors).run(sys.stdout))
