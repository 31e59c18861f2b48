"""The workload: a Deployment's controller over local pods.

The controller applies `rolling_step` every tenth of a second. The first fleet
starts without delays, as one that has been running for long.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import httpx2

from tidegate_lab.broker import LOOPBACK
from tidegate_lab.door import Candidate, Endpoint, endpoints
from tidegate_lab.errors import LabError
from tidegate_lab.fleet.deployment import Replica, rolling_step
from tidegate_lab.fleet.pod import LocalPod, PodSpec
from tidegate_lab.fleet.settings import FleetSettings
from tidegate_lab.processes import START_TIMEOUT_S, ProcessGroup

LOOK_PERIOD_S = 0.1
FIRST_REVISION = "rev1"
SECOND_REVISION = "rev2"


class Fleet:
    """Local pods of one Deployment. `environment` is what every sidecar gets; set it first.

    Use as an async context manager: leaving it kills every pod.
    """

    def __init__(
        self,
        process_group: ProcessGroup,
        settings: FleetSettings,
        prefix: str,
    ) -> None:
        self.settings = settings
        self.revision = FIRST_REVISION
        self.pods: list[LocalPod] = []
        self.gone: list[LocalPod] = []
        self.started_s: float | None = None
        self._process_group = process_group
        self.environment: Mapping[str, str] = {}
        self._prefix = prefix
        self._listeners: list[Callable[[], None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._http = httpx2.AsyncClient(trust_env=False)

    async def __aenter__(self) -> Fleet:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.aclose()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever a pod's status or label changes."""
        self._listeners.append(listener)

    def changed(self) -> None:
        """Call the listeners."""
        for listener in self._listeners:
            listener()

    def pod(self, uid: str) -> LocalPod | None:
        """The pod with this uid, unless it is gone."""
        return next((pod for pod in self.pods if pod.spec.uid == uid), None)

    async def start(self) -> None:
        """Start the first fleet and wait until all of it is ready; raises `LabError`."""
        for _ in range(self.settings.pods):
            self._create(ready_delay_s=0.0)
        await self._until(lambda: all(pod.ready for pod in self.pods), START_TIMEOUT_S)

    def roll_out(self) -> None:
        """Change the pod template: from now on the controller replaces every pod."""
        self.revision = SECOND_REVISION
        self._spawn(self._control())

    @property
    def rolled_out(self) -> bool:
        """Whether only pods of the new revision are left, all of them available."""
        return all(pod.spec.revision == self.revision and self.available(pod) for pod in self.pods)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """What the stream Service's EndpointSlice and selector let through now."""
        return endpoints(
            Candidate(
                Endpoint(pod.spec.name, LOOPBACK, pod.public_port),
                serving=pod.ready,
                terminating=pod.deleting,
                admitted=pod.admitted,
            )
            for pod in self.pods
        )

    def raise_failure(self) -> None:
        """Raise the `LabError` of a pod that died on its own, if there is one."""
        for pod in (*self.pods, *self.gone):
            if pod.failure is not None:
                raise pod.failure

    async def _until(self, holds: Callable[[], bool], timeout_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    self.raise_failure()
                    if holds():
                        return
                    await asyncio.sleep(LOOK_PERIOD_S)
        raise LabError(f"the fleet did not settle within {timeout_s:g} s")

    async def _control(self) -> None:
        while True:
            self._step()
            await asyncio.sleep(LOOK_PERIOD_S)

    def _step(self) -> None:
        settings = self.settings
        step = rolling_step(
            [self._replica(pod) for pod in self.pods if not pod.deleting],
            self.revision,
            settings.pods,
            settings.max_surge,
            settings.max_unavailable,
        )
        if (step.create or step.delete) and self.started_s is None:
            self.started_s = time.monotonic()
        for _ in range(step.create):
            self._create(settings.ready_delay_s)
        for uid in step.delete:
            pod = self.pod(uid)
            if pod is not None:
                pod.delete()

    def _replica(self, pod: LocalPod) -> Replica:
        return Replica(
            pod.spec.uid,
            pod.spec.revision,
            pod.ready,
            self.available(pod),
            pod.deletion_cost or 0,
            pod.created_s,
            pod.ready_s or 0.0,
        )

    def available(self, pod: LocalPod) -> bool:
        """Whether it has been ready for minReadySeconds."""
        if pod.ready_s is None:
            return False
        first_fleet = pod.spec.revision == FIRST_REVISION
        wait_s = 0.0 if first_fleet else self.settings.min_ready_s
        return time.monotonic() - pod.ready_s >= wait_s

    def _create(self, ready_delay_s: float) -> None:
        number = len(self.pods) + len(self.gone)
        name = f"{self._prefix}-{self.revision}-{number:02d}"
        spec = PodSpec(
            uid=f"uid-{name}",
            name=name,
            revision=self.revision,
            token=secrets.token_urlsafe(16),
            ready_delay_s=ready_delay_s,
            grace_s=self.settings.grace_s,
            environment=self.environment,
        )
        pod = LocalPod(spec, self._process_group, self._http, self.changed)
        self.pods.append(pod)
        self._spawn(self._live(pod))
        self.changed()

    async def _live(self, pod: LocalPod) -> None:
        await pod.run()
        self.pods.remove(pod)
        self.gone.append(pod)
        self.changed()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
