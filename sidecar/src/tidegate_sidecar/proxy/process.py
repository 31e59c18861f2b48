"""The process of a proxy: its admin port, its reports and its end.

It is ready as soon as it listens, and stays so: whether the application is ready is for its own
probes to find out, and a proxy that waited for it would keep a pod from starting it. End: endless
streams are let go with the listener open, answers get the time that is left, then everything ends.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from socket import socket
from typing import TextIO

from tidegate.contract.proxy import ProxySettings
from tidegate_process.descriptors import Descriptors
from tidegate_process.listeners import is_loopback
from tidegate_process.loops import run
from tidegate_process.ports import Port
from tidegate_process.serving import Server, announce
from tidegate_process.signals import stop_on_signals
from tidegate_sidecar.metrics import Metrics
from tidegate_sidecar.ports.admin import ADMIN_LIMITS, AdminPort
from tidegate_sidecar.proxy.proxy import Proxy
from tidegate_sidecar.reporting.report import Pod
from tidegate_sidecar.reporting.starting import make_reporter, start_logged

_log = logging.getLogger("tidegate.process")


async def serve(
    settings: ProxySettings,
    public: socket,
    admin: socket,
    descriptors: Descriptors,
    output: TextIO | None,
) -> int:
    """Serve until a signal ends it; returns the exit status.

    Writes one JSON line with the ports to `output` once both of them are served.
    """
    stop, loop, clock = asyncio.Event(), asyncio.get_running_loop(), time.monotonic
    stop_on_signals(loop, stop.set)
    proxy = Proxy(settings, public, descriptors, clock, loop)
    admin_port = Port("admin", ADMIN_LIMITS, clock, descriptors.below_own)
    metrics = Metrics(proxy.drain, proxy.streams, None, (proxy.port, admin_port))
    pod = Pod(proxy.settings, proxy.drain, proxy.streams, None, clock)
    app = AdminPort(
        pod,
        lambda: proxy.drain.state != "starting",
        proxy.drainer.prestop,
        metrics,
        settings.identity.pod_token,
        is_loopback(admin),
    ).app()
    await proxy.start()
    async with Server(app, admin, admin_port):
        announce(output, public=public, admin=admin)
        reporter = make_reporter(
            settings.operator, settings.identity.pod_token, pod, proxy.drainer, metrics
        )
        reporting = None if reporter is None else start_logged(reporter.run(), "reporter")
        await stop.wait()
        _log.info("stopping", extra={"streams": proxy.streams.open_count})
        cut = await proxy.stop()
        if cut:
            _log.warning("ended %d streams and answers that were not complete", cut)
        if reporting is not None:
            reporting.cancel()
            await asyncio.gather(reporting, return_exceptions=True)
    _log.info("stopped")
    return 0


def run_proxy(
    settings: ProxySettings, public: socket, admin: socket, descriptors: Descriptors
) -> int:
    """Run a proxy on uvloop where there is one; returns the exit status."""
    return run(serve(settings, public, admin, descriptors, sys.stdout))
