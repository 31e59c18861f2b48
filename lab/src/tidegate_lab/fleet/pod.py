"""One local pod: a sidecar and an app, living and dying in the order the kubelet keeps.

Measured on a real cluster (native sidecar, hub mode): the sidecar is up before the app starts; at
the delete (t0) the sidecar's preStop hook runs while the app, which has no hook, gets SIGTERM at
once; the sidecar gets SIGTERM when the app has exited and its own hook has ended; what is left
when the grace period is over gets SIGKILL.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import httpx2

from tidegate.contract.names import HEADER_POD_TOKEN, PATH_DRAIN_POD, PATH_READYZ
from tidegate.contract.sidecar import env
from tidegate_lab.broker import LOOPBACK
from tidegate_lab.errors import LabError
from tidegate_lab.processes import START_TIMEOUT_S, Process, ProcessGroup

PROBE_PERIOD_S = 0.1
PROBE_TIMEOUT_S = 1.0
END_TIMEOUT_S = 2.0
"""Beyond the grace period the kubelet gives two seconds more."""


@dataclass(frozen=True, slots=True)
class PodSpec:
    """What a pod is made of. `token` is random per pod; `environment` is the sidecar's.

    `ready_delay_s` is the least time from start to Ready.
    """

    uid: str
    name: str
    revision: str
    token: str
    ready_delay_s: float
    grace_s: float
    environment: Mapping[str, str]


@dataclass(slots=True)
class LocalPod:
    """A pod's processes and its status as the API would show it; times are monotonic seconds.

    `changed` is called whenever the status does. `run` is the pod's whole life.
    """

    spec: PodSpec
    process_group: ProcessGroup
    http: httpx2.AsyncClient
    changed: Callable[[], None]
    created_s: float = field(default_factory=time.monotonic)
    admitted: bool = True
    deletion_cost: int | None = None
    ready_s: float | None = None
    deleted_s: float | None = None
    gone: bool = False
    public_port: int = 0
    app_port: int = 0
    failure: LabError | None = None
    _admin_port: int = 0
    _deletion: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def ready(self) -> bool:
        """The Ready condition; it stays true while the pod terminates."""
        return self.ready_s is not None and not self.gone

    @property
    def deleting(self) -> bool:
        """Whether it has a deletionTimestamp."""
        return self.deleted_s is not None

    def delete(self) -> None:
        """Mark it deleted, now; the rest of its life follows by itself."""
        if self.deleted_s is None:
            self.deleted_s = time.monotonic()
            self._deletion.set()
            self.changed()

    async def run(self) -> None:
        """Start, become ready, serve until deleted, terminate. `failure` is set when that went
        wrong.
        """
        running: list[Process] = []
        try:
            sidecar, app = await self._start(running)
            await self._become_ready()
            await self._until_deleted(sidecar)
            await self._terminate(sidecar, app)
        except LabError as error:
            self.failure = error
        finally:
            for process in running:
                process.kill()
            self.gone = True
            self.changed()

    async def _start(self, running: list[Process]) -> tuple[Process, Process]:
        spec = self.spec
        variables = {
            **spec.environment,
            env("host"): LOOPBACK,
            env("public_port"): "0",
            env("admin_port"): "0",
            env("publish_port"): "0",
            env("pod_name"): spec.name,
            env("pod_uid"): spec.uid,
            env("pod_token"): spec.token,
        }
        argv = [sys.executable, "-m", "tidegate_sidecar"]
        sidecar = await self.process_group.start(f"{spec.name}-sidecar", argv, variables)
        running.append(sidecar)
        ports = await sidecar.listening()
        self.public_port, self._admin_port = int(ports["public"]), int(ports["admin"])
        argv = [sys.executable, "-m", "tidegate_lab.fleet.app", str(ports["publish"])]
        app = await self.process_group.start(f"{spec.name}-app", argv)
        running.append(app)
        self.app_port = int((await app.listening())["port"])
        return sidecar, app

    async def _become_ready(self) -> None:
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while True:
                    if await self._probe():
                        break
                    await asyncio.sleep(PROBE_PERIOD_S)
        except TimeoutError:
            raise LabError(f"{self.spec.name} was not ready in {START_TIMEOUT_S:g} s") from None
        started_s = time.monotonic() - self.created_s
        with contextlib.suppress(TimeoutError):  # deleted before it was ready
            delay_s = max(0.0, self.spec.ready_delay_s - started_s)
            await asyncio.wait_for(self._deletion.wait(), delay_s)
        self.ready_s = time.monotonic()
        self.changed()

    async def _probe(self) -> bool:
        url = f"http://{LOOPBACK}:{self._admin_port}{PATH_READYZ}"
        with contextlib.suppress(httpx2.HTTPError):
            return (await self.http.get(url, timeout=PROBE_TIMEOUT_S)).status_code == 200
        return False

    async def _until_deleted(self, sidecar: Process) -> None:
        deletion = asyncio.ensure_future(self._deletion.wait())
        death = asyncio.ensure_future(sidecar.wait())
        try:
            await asyncio.wait((deletion, death), return_when=asyncio.FIRST_COMPLETED)
            if death.done():
                words = sidecar.last_words()
                raise LabError(
                    f"{self.spec.name}'s sidecar ended unexpectedly ({death.result()}){words}"
                )
        finally:
            deletion.cancel()
            death.cancel()
            await asyncio.gather(deletion, death, return_exceptions=True)

    async def _terminate(self, sidecar: Process, app: Process) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.spec.grace_s):
                app.terminate()
                await asyncio.gather(app.wait(), self._prestop())
                sidecar.terminate()
                status = await sidecar.wait()
                if status != 0:
                    words = sidecar.last_words()
                    raise LabError(f"{self.spec.name}'s sidecar ended with {status}{words}")
                return
        sidecar.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(sidecar.wait(), END_TIMEOUT_S)

    async def _prestop(self) -> None:
        """The sidecar's hook: blocks until it has drained. A failed hook delays nothing."""
        url = f"http://{LOOPBACK}:{self._admin_port}{PATH_DRAIN_POD}"
        headers = {HEADER_POD_TOKEN: self.spec.token}
        with contextlib.suppress(httpx2.HTTPError):
            await self.http.post(url, headers=headers, timeout=None)
