"""The proxy without its process: a listener, its connections, and the drain of its streams."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from socket import socket
from typing import Final

from tidegate.contract.proxy import ProxySettings
from tidegate.drain.drain import Drain
from tidegate.proxy.kinds import Rules
from tidegate.stream.queue import AcceptQueue
from tidegate_process.descriptors import Descriptors
from tidegate_process.limits import PortLimits
from tidegate_process.listeners import BACKLOG
from tidegate_process.ports import Port, TimeLimit
from tidegate_sidecar.drainer import Drainer
from tidegate_sidecar.engine import tune_listener
from tidegate_sidecar.proxy.client import Client
from tidegate_sidecar.proxy.clockwork import Clockwork
from tidegate_sidecar.proxy.context import Context
from tidegate_sidecar.proxy.streams import ProxyStreams
from tidegate_sidecar.proxy.upstream import Upstreams

DESCRIPTORS_PER_CONNECTION: Final = 2
"""The client's, and one to the application."""


class Proxy:
    """Serves `listener` between `start` and `stop`. `clock` in seconds, monotonic."""

    def __init__(
        self,
        settings: ProxySettings,
        listener: socket,
        descriptors: Descriptors,
        clock: Callable[[], float],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        most = max(1, descriptors.for_streams // DESCRIPTORS_PER_CONNECTION)
        self.settings = settings = _within(settings, most)
        application = settings.application
        self._listener = listener
        self.port = Port("public", _limits(settings, most), clock, descriptors.below_public)
        self.streams = ProxyStreams(clock)
        rate_per_s = settings.limits.max_new_streams_per_s
        self._context = Context(
            settings,
            clock,
            loop,
            self.port,
            self.streams,
            Upstreams(application, clock, loop),
            connecting=TimeLimit(application.connect_timeout_s, clock),
            silence=TimeLimit(application.answer_timeout_s, clock),
            idle=TimeLimit(application.keep_alive_s, clock),
            queue=None if rate_per_s is None else AcceptQueue(rate_per_s),
            rules=Rules(application.finite_paths),
        )
        operator = settings.operator.url is not None
        self.drain = Drain(settings.drain, settings.streams, operator=operator)
        self.drainer = Drainer(self.drain, self.streams, clock, loop)
        self._clockwork = Clockwork(self._context, self.drain, settings.streams)
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        context = self._context
        tune_listener(self._listener, self.settings.streams.write_timeout_s)
        self._server = await context.loop.create_server(
            lambda: Client(context), sock=self._listener, backlog=BACKLOG
        )
        self._clockwork.start()
        self.drainer.filled()

    async def stop(self) -> int:
        """Let everything go as after SIGTERM, and end; returns how many streams were cut."""
        await self.drainer.sigterm()
        left = self.streams.abort_lingering()
        if self._server is not None:
            self._server.close()
        self.drainer.stop()
        self._clockwork.stop()
        self._context.upstreams.close()
        for transport in list(self.streams.connections):
            transport.abort()
        return left


def _limits(settings: ProxySettings, connections: int) -> PortLimits:
    return PortLimits(
        connections=connections,
        head_bytes=settings.limits.max_header_bytes,
        head_s=settings.streams.header_timeout_s,
        request_s=settings.application.body_timeout_s,
        write_s=settings.streams.write_timeout_s,
    )


def _within(settings: ProxySettings, most: int) -> ProxySettings:
    limits = settings.limits
    if limits.max_streams <= most:
        return settings
    return replace(settings, limits=replace(limits, max_streams=most))
