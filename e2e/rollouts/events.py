"""Things done to a workload under load, and what to wait for afterwards."""

from __future__ import annotations

import asyncio
import signal

from e2e.cluster.provider import ClusterError
from e2e.kubectl import Kubectl
from e2e.rollouts.stage import Stage

RESTART_TIMEOUT_S = 60.0
READY_TIMEOUT_S = 60.0

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
