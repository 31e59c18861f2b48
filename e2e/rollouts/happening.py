"""The frame of every measured case: deploy, connect, let something happen, settle, check, score."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from e2e.cluster.provider import ClusterError
from e2e.kubectl import Kubectl
from e2e.rollouts.stage import Audience, Router, Stage, staged
from e2e.rollouts.workload import Workload
from tidegate.score.scorecard import Run

EXIT_SLACK_S = 3.0
"""Past the grace period the kubelet gives 2 s more, and the watch needs its moment."""


@dataclass(slots=True)
class Happening:
    """A filled stage from a moment on; `run` and what follows are known when its block is over.

    `began_s` is when the measured time begins, in monotonic seconds, and `old` are the pods of
    that moment; a block that has to prepare something calls `begin` when it is ready.
    """

    stage: Stage
    began_s: float = 0.0
    ended_s: float = 0.0
    old: set[str] = field(default_factory=set)
    result: dict[str, Any] = field(default_factory=dict)
    _run: Run | None = None

    def begin(self) -> None:
        """Measure from now on."""
        self.began_s = time.monotonic()
        self.old = {pod.name for pod in self.stage.pods.alive()}

    @property
    def run(self) -> Run:
        """The scorecard."""
        assert self._run is not None, "the block is not over"
        return self._run

    @property
    def empty_s(self) -> float:
        """How long the stream Service had no endpoint."""
        ended_s = self.ended_s or time.monotonic()
        return self.stage.endpoints.seconds_without(self.began_s, ended_s)

    async def end(self) -> None:
        """Let everything settle, check every event of every client, and score; the load ends."""
        await self.stage.settle()
        self.ended_s = time.monotonic()
        self.result = await self.stage.finish(self.began_s)
        self._run = self.stage.run(self.began_s, newest_revision(self.stage, self.old))


@asynccontextmanager
async def happening(
    kubectl: Kubectl,
    workload: Workload,
    audience: Audience,
    router: Router | None = None,
    *,
    stuck_pods: bool = False,
) -> AsyncIterator[Happening]:
    """`observed` on a stage of its own, which is gone after the block."""
    async with (
        staged(kubectl, workload, audience, router) as stage,
        observed(kubectl, stage, stuck_pods=stuck_pods) as seen,
    ):
        yield seen


@asynccontextmanager
async def observed(
    kubectl: Kubectl, stage: Stage, *, stuck_pods: bool = False
) -> AsyncIterator[Happening]:
    """Connect; what the block does happens to the workload; at its end everything is scored.

    Raises `ClusterError` when a finalizer is left or, unless `stuck_pods` says that they cannot
    help it, a pod outstayed its grace period.
    """
    await stage.fill()
    seen = Happening(stage)
    seen.begin()
    yield seen
    await seen.end()
    hanging = await asyncio.to_thread(finalizers, kubectl, stage.workload.namespace)
    if not stuck_pods:
        hanging += overdue(stage)
    if hanging:
        raise ClusterError("; ".join(hanging))


def newest_revision(stage: Stage, old: set[str]) -> str:
    """The pod-template hash of the pods that came, or of all where none did."""
    alive = stage.pods.alive()
    return next((pod for pod in alive if pod.name not in old), alive[0]).revision


def finalizers(kubectl: Kubectl, namespace: str) -> list[str]:
    """Every object of the namespace, of whatever kind, that has a finalizer, as sentences."""
    kinds = kubectl("api-resources", "--namespaced", "--verbs=list", "--output=name").split()
    kinds = [kind for kind in kinds if kind != "events.events.k8s.io"]
    items = kubectl.items(",".join(sorted(kinds)), f"--namespace={namespace}")
    return [
        f"{item['kind']} {item['metadata']['name']}: {item['metadata']['finalizers']}"
        for item in items
        if item["metadata"].get("finalizers")
    ]


def overdue(stage: Stage) -> list[str]:
    """Pods that outstayed their grace period, as sentences."""
    return [
        f"pod {pod.name} took {gone_s - pod.deleted_s:.1f} s to go"
        for pod in stage.pods.seen.values()
        if pod.deleted_s is not None
        and (gone_s := pod.gone_s or stage.load.progress.at_s) - pod.deleted_s
        > stage.workload.grace_s + EXIT_SLACK_S
    ]
