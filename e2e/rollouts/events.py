"""Things done to a workload under load, and the scorecard of what they did to the clients."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable

from e2e.cluster.provider import ClusterError
from e2e.kubectl import Kubectl
from e2e.rollouts.stage import Audience, Stage, staged
from e2e.rollouts.workload import Workload
from tidegate.score.scorecard import Run

RESTART_TIMEOUT_S = 60.0
READY_TIMEOUT_S = 60.0

EXIT_SLACK_S = 3.0
"""Past the grace period the kubelet gives 2 s more, and the watch needs its moment."""

_KILL = """
import os, pathlib, signal, sys
for entry in pathlib.Path("/proc").iterdir():
    if entry.name.isdigit() and int(entry.name) != os.getpid():
        words = (entry / "cmdline").read_bytes().split(b"\\0")
        if sys.argv[1].encode() in b" ".join(words):
            os.kill(int(entry.name), signal.SIGKILL)
            sys.exit(0)
sys.exit("no process " + sys.argv[1])
"""
"""Run in a container of a pod whose containers share their processes."""

_FILL_MEMORY = """
with open("/dev/shm/ballast", "wb", buffering=0) as ballast:
    while True:
        ballast.write(bytes(1 << 20))
"""
"""What a container writes to /dev/shm is charged to it; its largest process is then killed."""


async def happening(
    kubectl: Kubectl,
    workload: Workload,
    audience: Audience,
    act: Callable[[Stage], Awaitable[None]],
) -> Run:
    """Deploy, connect, let `act` do its worst, settle, and score."""
    async with staged(kubectl, workload, audience) as stage:
        await stage.fill()
        began_s = time.monotonic()
        revision = stage.pods.alive()[0].revision
        await act(stage)
        await stage.settle()
        await stage.finish(began_s)
        if found := await asyncio.to_thread(finalizers, kubectl, workload.namespace):
            raise ClusterError(f"finalizers are left: {found}")
        return stage.run(began_s, revision)


async def kill(kubectl: Kubectl, stage: Stage, pod: str, word: str) -> None:
    """SIGKILL the process of the pod whose command line has the word."""
    try:
        await execute(kubectl, stage, pod, "app", "python", "-c", _KILL, word)
    except ClusterError as error:
        # The killer dies with its own container, sometimes before it can say so.
        if f"exit status {128 + signal.SIGKILL}" not in str(error):
            raise


async def run_out_of_memory(kubectl: Kubectl, stage: Stage, pod: str, container: str) -> None:
    """Fill a container's memory until the kernel kills what it runs."""
    try:
        await execute(kubectl, stage, pod, container, "python", "-c", _FILL_MEMORY)
    except Exception as error:  # noqa: BLE001 - it dies with the container, in one of many ways
        stage.progress.done(f"out of memory: {str(error).splitlines()[-1][:80]}")


async def execute(kubectl: Kubectl, stage: Stage, pod: str, container: str, *words: str) -> str:
    """``kubectl exec``."""
    where = f"--namespace={stage.workload.namespace}"
    argv = ("exec", pod, where, f"--container={container}", "--", *words)
    return await asyncio.to_thread(kubectl, *argv)


async def until_restarted(stage: Stage, pod: str, restarts: int) -> None:
    """Until the pod counts that many restarts and is ready again."""
    seen = stage.pods.seen[pod]
    await stage.until(
        f"restart {restarts} of {pod}",
        lambda: seen.restarts >= restarts and seen.ready,
        RESTART_TIMEOUT_S,
    )


async def until_everybody_is_back(stage: Stage) -> None:
    """Until every client has a stream."""
    everyone = stage.audience.clients
    await stage.until("everybody is back", lambda: stage.load.progress.connected >= everyone, 60.0)


async def until_all_ready(stage: Stage, pods: int) -> None:
    """Until that many pods are ready and none is on its way out."""

    def ready() -> bool:
        alive = stage.pods.alive()
        return sum(pod.ready for pod in alive) == len(alive) == pods

    await stage.until(f"{pods} pods ready", ready, READY_TIMEOUT_S)


def busiest(stage: Stage) -> str:
    """The living pod with most streams."""
    alive = {pod.name for pod in stage.pods.alive()}
    streams = {pod: n for pod, n in stage.load.progress.streams.items() if pod in alive}
    return max(streams, key=lambda pod: streams[pod])


def finalizers(kubectl: Kubectl, namespace: str) -> list[str]:
    """Every object of the namespace, of whatever kind, that has a finalizer."""
    kinds = kubectl("api-resources", "--namespaced", "--verbs=list", "--output=name").split()
    kinds = [kind for kind in kinds if kind != "events.events.k8s.io"]
    items = kubectl.items(",".join(sorted(kinds)), f"--namespace={namespace}")
    return [
        f"{item['kind']} {item['metadata']['name']}: {item['metadata']['finalizers']}"
        for item in items
        if item["metadata"].get("finalizers")
    ]


async def held(kubectl: Kubectl, stage: Stage) -> list[str]:
    """What hangs, as sentences: finalizers, and pods that outstayed their grace period."""
    found = await asyncio.to_thread(finalizers, kubectl, stage.workload.namespace)
    return found + [
        f"pod {pod.name} took {gone_s - pod.deleted_s:.1f} s to go"
        for pod in stage.pods.seen.values()
        if pod.deleted_s is not None
        and (gone_s := pod.gone_s or stage.load.progress.at_s) - pod.deleted_s
        > stage.workload.grace_s + EXIT_SLACK_S
    ]
