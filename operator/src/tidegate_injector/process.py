"""One injector: health first, the webhook once there is a certificate, and an end without a gap.

At SIGTERM it turns not ready and goes on serving for a moment: the API server still has this pod's
address, and with failurePolicy Fail a refused connection is a pod that does not start.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import uvicorn
from starlette.applications import Starlette

from tidegate.contract.errors import SettingsError
from tidegate.contract.settings import variable
from tidegate.injection.settings import InjectionSettings
from tidegate_injector.apps import health_app, webhook_app
from tidegate_injector.certificates import CHECK_MISSING_EVERY_S, CertificateFolder
from tidegate_injector.meters import Meters
from tidegate_injector.settings import InjectorSettings

_log = logging.getLogger("tidegate.injector")


class Injector:
    """The process; `run` serves until SIGTERM or SIGINT."""

    def __init__(self, settings: InjectorSettings) -> None:
        self._settings = settings
        self._meters = Meters()
        self._certificates = CertificateFolder(Path(settings.serving.certificate_dir), self._meters)
        self._serving = False

    async def run(self, announce: TextIO) -> None:
        """Serve. Writes one JSON line with the ports to `announce` when the webhook listens.

        Raises `SettingsError` for a port that is taken.
        """
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        at = self._settings.serving
        with contextlib.ExitStack() as stack:
            health = _bind(stack, at.host, at.health_port, variable("health_port"))
            webhook = _bind(stack, at.host, at.webhook_port, variable("webhook_port"))
            watching = asyncio.create_task(self._certificates.watch())
            try:
                await self._serve(stop, health, webhook, announce)
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)

    async def _serve(
        self, stop: asyncio.Event, health: socket.socket, webhook: socket.socket, announce: TextIO
    ) -> None:
        async with _serving(health_app(lambda: self._serving, self._meters), health):
            if not await self._certificate_or(stop):
                return
            app = webhook_app(self._injection, self._meters)
            async with _serving(
                app, webhook, ssl_context_factory=lambda *_: self._certificates.context
            ):
                self._serving = True
                _announce(announce, health, webhook)
                await stop.wait()
                self._serving = False
                _log.info("stopping", extra={"in_s": self._settings.serving.stop_delay_s})
                await asyncio.sleep(self._settings.serving.stop_delay_s)

    def _injection(self) -> InjectionSettings:
        return replace(self._settings.injection, operator_ca_pem=self._certificates.ca_pem)

    async def _certificate_or(self, stop: asyncio.Event) -> bool:
        """Wait for the certificate; false when told to stop before."""
        if not self._certificates.is_loaded:
            _log.info("waiting for a certificate in %s", self._settings.serving.certificate_dir)
        while not self._certificates.is_loaded:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), CHECK_MISSING_EVERY_S)
                return False
        return True


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def _serving(app: Starlette, listener: socket.socket, **tls: Any) -> Any:
    """Serve inside the block; at its end finish the requests that have begun."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=10,
        **tls,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if task.done():
                task.result()
                raise RuntimeError("the server ended before it had started")
            await asyncio.sleep(0)
        yield
    finally:
        server.should_exit = True
        await task


def _bind(stack: contextlib.ExitStack, host: str, port: int, name: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = stack.enter_context(contextlib.closing(socket.socket(family, socket.SOCK_STREAM)))
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        detail = f"cannot listen on {host} port {port}: {error.strerror or error}"
        raise SettingsError(name, detail) from None
    return listener


def _announce(announce: TextIO, health: socket.socket, webhook: socket.socket) -> None:
    ports = {"health": health.getsockname()[1], "webhook": webhook.getsockname()[1]}
    announce.write(json.dumps({"event": "listening", **ports}) + "\n")
    announce.flush()
