"""The broker goes away under load: streams stay open, publishers are told to wait, nothing is lost.

The chart's NATS keeps its log in an emptyDir here, which survives its container and not its pod.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import pytest

from e2e.api import SeenPod
from e2e.goals import SMOOTH, UNHARMED, missed, show
from e2e.installation import NAMESPACE, RELEASE, Installation
from e2e.kubectl import Kubectl
from e2e.machine import kill_container
from e2e.rollouts.events import execute
from e2e.rollouts.happening import happening
from e2e.rollouts.rollout import restart, until_replaced
from e2e.rollouts.stage import SERVICE_PORT, Audience, Stage
from e2e.rollouts.workload import Workload
from tidegate.contract.kube import KEY_PREFIX
from tidegate.contract.names import PATH_EVENTS, PATH_PUBLISH, PUBLISH_PORT
from tidegate.contract.stream_events import CONNECTED, GAP
from tidegate.score.scorecard import Run

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

AUDIENCE = Audience(clients=500)
BROKER = f"{RELEASE}-nats-0"
WHERE = f"--namespace={NAMESPACE}"
NEW_POD_WITHIN_S = 60.0
BACK_WITHIN_S = 60.0
STEP_S = 0.1
HEARTBEAT_S = 1
EVENTS_AFTERWARDS = 10
TOPIC = "heard-by-one"

_PUBLISH = """
import http.client, sys
sidecar = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
body = '{"to": "all", "data": "while the broker is away"}'
sidecar.request("POST", sys.argv[2], body, {"Content-Type": "application/json"})
answer = sidecar.getresponse()
print(answer.status, answer.getheader("Retry-After"))
"""


@dataclass(frozen=True, slots=True)
class Outage:
    """A rollout with a broker that died in its middle.

    `refusal`: status and Retry-After of a publish meanwhile; `silence_s`: the longest time without
    an acknowledgement; `empty_s`: how long the stream Service had no endpoint.
    """

    run: Run
    refusal: str
    silence_s: float
    empty_s: float
    gaps: int
    unacknowledged: int


async def test_a_broker_that_dies_in_mid_rollout_costs_no_event(
    kubectl: Kubectl, installation: Installation
) -> None:
    """Killed twice; who publishes is told to come again, and the rollout ends as any other.

    After the first death the kubelet starts the container at once, after the second in 10 s.
    """
    seen = await _roll_out_while_it_dies(kubectl, installation, "e2e-broker-dies", {})
    show("(m) the broker killed twice in mid-rollout", [seen.run])
    _tell(seen)
    status, retry_after_s = seen.refusal.split()
    assert status == "503"
    assert int(retry_after_s) >= 1
    assert seen.unacknowledged == 0
    assert seen.silence_s < BACK_WITHIN_S
    assert seen.empty_s == 0
    assert seen.gaps == 0
    assert missed([seen.run], SMOOTH) == []


async def test_without_replay_a_broker_that_dies_costs_events(
    kubectl: Kubectl, installation: Installation
) -> None:
    """Whoever moves meanwhile is not told what was published until it was there again."""
    off = {f"{KEY_PREFIX}replay": "off"}
    seen = await _roll_out_while_it_dies(kubectl, installation, "e2e-broker-bare", off)
    shown = replace(seen.run, mode="tidegate without replay")
    show("(m) the broker killed twice in mid-rollout, without replay", [shown])
    _tell(seen)
    assert any("lost" in miss for miss in missed([seen.run], UNHARMED))


async def test_a_log_that_is_lost_is_told(kubectl: Kubectl, installation: Installation) -> None:
    """The broker's pod is deleted and its log with it: streams stay, and every one hears a gap."""
    workload = Workload(
        image=installation.images.sidecar.name,
        namespace="e2e-log-lost",
        pods=2,
        min_ready_s=0,
        annotations={f"{KEY_PREFIX}heartbeat-s": str(HEARTBEAT_S)},
    )
    async with happening(kubectl, workload, Audience(clients=200)) as seen:
        stage = seen.stage
        async with _listening(kubectl, workload) as stream:
            pod = await asyncio.to_thread(_broker, kubectl)
            await asyncio.to_thread(kubectl, "delete", "pod", BROKER, WHERE)
            await _until_another_serves(kubectl, pod)
            heartbeats = await asyncio.wait_for(_heartbeats_until_gap(stream), BACK_WITHIN_S)
        before = stage.load.progress.received
        all_of_them = EVENTS_AFTERWARDS * stage.audience.clients
        await stage.until("events", lambda: stage.load.progress.received > before + all_of_them, 30)
    run, result = seen.run, seen.result
    unready = [pod.name for pod in stage.pods.seen.values() if pod.ready_s > seen.began_s]
    # The ledger's numbers are of two logs, so deliveries cannot be told apart by them.
    unmeasured = dict.fromkeys(("deliveries", "expected_deliveries", "lost", "duplicated"))
    show(
        "(m) the broker's log lost", [replace(run, scorecard=replace(run.scorecard, **unmeasured))]
    )
    print(f"gaps: {result['gaps']}, heartbeats of a stream before its gap: {heartbeats}")
    assert heartbeats > 0
    assert unready == []
    assert result["gaps"] == stage.audience.clients
    assert result["foreign_events"] >= all_of_them
    assert run.scorecard.moves_per_client == 0
    assert missed([run], [goal for goal in SMOOTH if goal.key not in unmeasured]) == []


async def _roll_out_while_it_dies(
    kubectl: Kubectl, installation: Installation, namespace: str, annotations: dict[str, str]
) -> Outage:
    image = installation.images.sidecar.name
    workload = Workload(image=image, namespace=namespace, annotations=annotations)
    # A new pod: the kubelet waits longer after each death of an old one's container.
    pod = await asyncio.to_thread(_broker, kubectl)
    await asyncio.to_thread(kubectl, "delete", "pod", BROKER, WHERE)
    await _until_another_serves(kubectl, pod)
    async with happening(kubectl, workload, AUDIENCE) as seen:
        stage, old = seen.stage, seen.old
        await restart(kubectl, stage)
        await stage.until("a new pod", lambda: _youngest(stage).name not in old, NEW_POD_WITHIN_S)
        await _until_another_serves(kubectl, await _kill(kubectl))
        stage.progress.done(f"the broker died and is back: {stage.standing()}")
        died = await _kill(kubectl)
        refusal = await _publish(kubectl, stage)
        await _until_another_serves(kubectl, died)
        stage.progress.done(f"it died once more and is back: {stage.standing()}")
        await until_replaced(stage, old)
    acknowledged_s = sorted([*(row[2] for row in stage.publisher.ledger), seen.ended_s])
    return Outage(
        run=seen.run,
        refusal=refusal,
        silence_s=max(later - at for at, later in pairwise(acknowledged_s)),
        empty_s=seen.empty_s,
        gaps=seen.result["gaps"],
        unacknowledged=stage.publisher.unacknowledged,
    )


def _broker(kubectl: Kubectl) -> dict[str, Any]:
    """Its pod."""
    pod: dict[str, Any] = kubectl.get("pod", BROKER, WHERE)
    return pod


def _container(pod: dict[str, Any]) -> str:
    identifier: str = pod["status"]["containerStatuses"][0]["containerID"]
    return identifier


async def _kill(kubectl: Kubectl) -> dict[str, Any]:
    """SIGKILL the broker; returns its pod as it was."""
    pod = await asyncio.to_thread(_broker, kubectl)
    assert kill_container(_container(pod)) > 0
    return pod


async def _until_another_serves(kubectl: Kubectl, before: dict[str, Any]) -> None:
    """Until the broker runs in another container than `before` and is ready."""
    give_up_s = time.monotonic() + BACK_WITHIN_S
    while not await asyncio.to_thread(_serves_anew, kubectl, before):
        assert time.monotonic() < give_up_s
        await asyncio.sleep(STEP_S)


def _serves_anew(kubectl: Kubectl, before: dict[str, Any]) -> bool:
    found = kubectl.items("pods", WHERE, f"--field-selector=metadata.name={BROKER}")
    statuses = [status for pod in found for status in pod["status"].get("containerStatuses", ())]
    return any(s["ready"] and s["containerID"] != _container(before) for s in statuses)


def _youngest(stage: Stage) -> SeenPod:
    """The ready pod that came last, which no rollout ends soon."""
    return max((p for p in stage.pods.alive() if p.ready), key=lambda pod: pod.created_s)


async def _publish(kubectl: Kubectl, stage: Stage) -> str:
    """What an application is answered by its sidecar: status and Retry-After."""
    words = ("python", "-c", _PUBLISH, str(PUBLISH_PORT), PATH_PUBLISH)
    return await execute(kubectl, stage, _youngest(stage).name, "app", *words)


@asynccontextmanager
async def _listening(kubectl: Kubectl, workload: Workload) -> AsyncIterator[asyncio.StreamReader]:
    """A plain stream, up to its `connected`."""
    name = workload.stream_service_name
    service = await asyncio.to_thread(
        kubectl.get, "service", name, f"--namespace={workload.namespace}"
    )
    reader, writer = await asyncio.open_connection(service["spec"]["clusterIP"], SERVICE_PORT)
    request = f"GET {PATH_EVENTS}?topic={TOPIC} HTTP/1.1\r\nHost: {name}\r\n\r\n"
    try:
        writer.write(request.encode())
        async with asyncio.timeout(BACK_WITHIN_S):
            await reader.readuntil(f"event: {CONNECTED}\n".encode())
        yield reader
    finally:
        writer.close()


async def _heartbeats_until_gap(stream: asyncio.StreamReader) -> int:
    """How many comments came before the `gap`; raises `IncompleteReadError` if the stream ends."""
    comments = 0
    while (line := (await stream.readuntil(b"\n")).strip()) != f"event: {GAP}".encode():
        comments += line.startswith(b":")
    return comments


def _tell(seen: Outage) -> None:
    print(f"a publish meanwhile: {seen.refusal.strip()}; nothing acknowledged for ", end="")
    print(f"{seen.silence_s:.1f} s; given up by the publisher: {seen.unacknowledged}")
