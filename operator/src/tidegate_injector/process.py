"""One injector: health first, the webhook once there is a certificate, and an end without a gap.

At SIGTERM it turns not ready and goes on serving for a moment: the API server still has this pod's
address, and with failurePolicy Fail a refused connection is a pod that does not start.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Final, TextIO

from tidegate.contract.settings import variable
from tidegate.injection.settings import InjectionSettings
from tidegate_injector.apps import HEALTH_LIMITS, WEBHOOK_LIMITS, health_app, webhook_app
from tidegate_injector.certificates import CHECK_MISSING_EVERY_S, CertificateFolder
from tidegate_injector.meters import Meters
from tidegate_injector.settings import InjectorSettings
from tidegate_process.descriptors import raise_descriptor_limit
from tidegate_process.listeners import bind
from tidegate_process.ports import Port, PortMetrics
from tidegate_process.serving import Server, announce
from tidegate_process.signals import stop_on_signals

FINISH_S: Final = 10
"""How long reviews that have begun may take at the end; the API server gives up after 10 s."""

_log = logging.getLogger("tidegate.injector")


class Injector:
    """The process; `run` serves until a signal ends it."""

    def __init__(self, settings: InjectorSettings) -> None:
        self._settings = settings
        self._meters = Meters()
        self._certificates = CertificateFolder(Path(settings.serving.certificate_dir), self._meters)
        self._serving = False
        below = raise_descriptor_limit().below_own
        self._health = Port("health", HEALTH_LIMITS, time.monotonic, below)
        self._webhook = Port("webhook", WEBHOOK_LIMITS, time.monotonic, below)
        self._meters.registry.register(PortMetrics((self._health, self._webhook)))

    async def run(self, output: TextIO | None) -> None:
        """Serve. Writes one JSON line with the ports to `output` when the webhook listens.

        Raises `SettingsError` for a port that is taken.
        """
        stop = asyncio.Event()
        stop_on_signals(asyncio.get_running_loop(), stop.set)
        at = self._settings.serving
        with contextlib.ExitStack() as stack:
            health, webhook = (
                stack.enter_context(contextlib.closing(bind(at.host, number, variable(name))))
                for number, name in (
                    (at.health_port, "health_port"),
                    (at.webhook_port, "webhook_port"),
                )
            )
            watching = asyncio.create_task(self._certificates.watch())
            try:
                await self._serve(stop, health, webhook, output)
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)

    async def _serve(
        self,
        stop: asyncio.Event,
        health: socket.socket,
        webhook: socket.socket,
        output: TextIO | None,
    ) -> None:
        async with Server(health_app(lambda: self._serving, self._meters), health, self._health):
            if not await self._certificate_or(stop):
                return
            app = webhook_app(self._injection, self._meters)
            async with Server(
                app, webhook, self._webhook, tls=self._certificates.context, finish_s=FINISH_S
            ):
                self._serving = True
                announce(output, health=health, webhook=webhook)
                await stop.wait()
                self._serving = False
                _log.info("stopping", extra={"in_s": self._settings.serving.stop_delay_s})
                await asyncio.sleep(self._settings.serving.stop_delay_s)

    def _injection(self) -> InjectionSettings:
        return replace(self._settings.injection, operator_ca_pem=self._certificates.ca_pem)

    async def _certificate_or(self, stop: asyncio.Event) -> bool:
        """Wait for the certificate; false when stopped before."""
        if not self._certificates.is_loaded:
            _log.info("waiting for a certificate in %s", self._settings.serving.certificate_dir)
        while not self._certificates.is_loaded:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), CHECK_MISSING_EVERY_S)
                return False
        return True
