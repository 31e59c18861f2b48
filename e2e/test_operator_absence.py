"""Operators come and go in the middle of a rollout; no stream and no endpoint depends on them."""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from e2e.cluster.commands import wait_until
from e2e.goals import ROLLBACK, SMOOTH, missed, show
from e2e.installation import NAMESPACE, RELEASE, Installation
from e2e.kubectl import Kubectl
from e2e.machine import kill_container, signal_container
from e2e.rollouts.happening import happening
from e2e.rollouts.rollout import replaced, restart, roll_out, until_replaced
from e2e.rollouts.stage import Audience, Stage
from e2e.rollouts.workload import Workload
from tidegate.contract.kube import KEY_PREFIX
from tidegate.contract.names import LABEL_ADMIT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SLICE_LAG_S = 0.5
"""An endpoint is published after its pod was seen ready, and the two are watched apart (0.03 s)."""

AUDIENCE = Audience(clients=500)
READMITTED_WITHIN_S = 30.0
STANDBY_STEERS_WITHIN_S = 20.0
LEASE = f"{RELEASE}-operator"
LONG_LEASE_S = 40
LOOK_S = 0.2
ASLEEP_S = 25.0


async def test_a_rollout_is_finished_without_its_operator(
    kubectl: Kubectl, installation: Installation
) -> None:
    """Gone in mid-rollout and the open pod deleted; then one more rollout; then it comes back."""
    workload = Workload(
        image=installation.images.sidecar.name,
        namespace="e2e-no-operator",
        min_ready_s=2,
        grace_s=45,
    )
    try:
        async with happening(kubectl, workload, AUDIENCE) as seen:
            stage, old = seen.stage, seen.old
            await restart(kubectl, stage)
            await _until_new_pods_are_open(stage, old, 2)
            await asyncio.to_thread(installation.scale, "operator", 0)
            await _delete_open_pods(kubectl, stage, old)
            await until_replaced(stage, old)
            await replaced(kubectl, stage)
            empty_s = seen.empty_s
            slowest_s = max(pod.ready_s - pod.created_s for pod in stage.pods.seen.values())
            await asyncio.to_thread(installation.scale, "operator", 2)
            await stage.until("every pod is re-admitted", lambda: _all_open(stage), 30)
    finally:
        installation.scale("operator", 2)
    show("two rollouts, the operator gone in the middle of the first", [seen.run])
    print(f"without an endpoint: {empty_s:.2f} s, slowest pod: {slowest_s:.2f} s")
    assert empty_s <= slowest_s + SLICE_LAG_S
    assert missed([seen.run], SMOOTH) == []


async def test_the_standby_takes_over(kubectl: Kubectl, installation: Installation) -> None:
    """The leader is killed in mid-rollout; the other one steers soon, and the rollout ends well."""
    workload = Workload(image=installation.images.sidecar.name, namespace="e2e-standby")
    async with happening(kubectl, workload, AUDIENCE) as seen:
        stage, old = seen.stage, seen.old
        await restart(kubectl, stage)
        await _until_new_pods_are_open(stage, old, 1)
        took_s = await asyncio.to_thread(_seconds_to_another_leader, kubectl)
        assert took_s is not None
        stage.progress.done(f"another leads, and sidecars reach it, after {took_s:.1f} s")
        await until_replaced(stage, old)
        await stage.until("every pod is open", lambda: _all_open(stage), READMITTED_WITHIN_S)
    show("the leader killed in mid-rollout", [seen.run])
    assert missed([seen.run], ROLLBACK) == []


@pytest.mark.slow
async def test_a_leader_that_sleeps_and_wakes_disturbs_nothing(
    kubectl: Kubectl, installation: Installation
) -> None:
    """SIGSTOP in mid-rollout, for longer than the Lease lasts: the other one leads, and goes on."""
    workload = Workload(image=installation.images.sidecar.name, namespace="e2e-asleep")
    where = f"--namespace={NAMESPACE}"
    async with happening(kubectl, workload, AUDIENCE) as seen:
        stage, old = seen.stage, seen.old
        await restart(kubectl, stage)
        await _until_new_pods_are_open(stage, old, 1)
        leader = _leader(kubectl)
        pod = kubectl.get("pod", leader, where)
        container = pod["status"]["containerStatuses"][0]["containerID"]
        assert signal_container(container, signal.SIGSTOP) > 0
        try:
            await asyncio.sleep(ASLEEP_S)
            successor = _leader(kubectl)
        finally:
            signal_container(container, signal.SIGCONT)
        assert successor not in ("", leader)
        await until_replaced(stage, old)
        assert _reachable(kubectl, successor, instead_of=leader), "the label is not taken back"
        await stage.until("every pod is open", lambda: _all_open(stage), READMITTED_WITHIN_S)
    show("the leader asleep for 25 s in mid-rollout", [seen.run])
    assert missed([seen.run], ROLLBACK) == []


@pytest.mark.counterproof
async def test_without_operator_and_goodbyes_a_rollout_cuts_everyone(
    kubectl: Kubectl, installation: Installation
) -> None:
    """What a pod does by its own plan is all that there is then; with drain `cut` it has none."""
    workload = Workload(
        image=installation.images.sidecar.name,
        namespace="e2e-no-plan",
        pods=2,
        min_ready_s=0,
        annotations={f"{KEY_PREFIX}drain": "cut"},
    )
    audience = Audience(clients=100)
    installation.scale("operator", 0)
    try:
        run = await roll_out(kubectl, workload, audience)
    finally:
        installation.scale("operator", 2)
    show("(e) no operator and no plan of the pods' own", [run])
    assert run.scorecard.cut_without_goodbye is not None
    assert run.scorecard.cut_without_goodbye >= audience.clients
    assert missed([run], SMOOTH) != []


@pytest.mark.counterproof
def test_a_long_lease_leaves_nobody_to_steer(kubectl: Kubectl, installation: Installation) -> None:
    """The standby waits until the dead leader's Lease is over."""
    with installation.changed(f"operator.leaseDurationSeconds={LONG_LEASE_S}"):
        wait_until("a leader", lambda: _leader(kubectl))
        took_s = _seconds_to_another_leader(kubectl)
    print(f"(e) a Lease of {LONG_LEASE_S} s: another leader after {took_s} s")
    assert took_s is None


def _seconds_to_another_leader(kubectl: Kubectl) -> float | None:
    """Kill the leader; how long until sidecars reach another one, ``None``: it takes too long."""
    leader = _leader(kubectl)
    where = f"--namespace={NAMESPACE}"
    pod = kubectl.get("pod", leader, where)
    killed_s = time.monotonic()
    # SIGKILL first: a deleted one would hand its Lease over politely.
    assert kill_container(pod["status"]["containerStatuses"][0]["containerID"]) > 0
    kubectl("delete", "pod", leader, where, "--grace-period=0", "--force", "--wait=false")
    while not _reachable(kubectl, _leader(kubectl), instead_of=leader):
        if time.monotonic() > killed_s + STANDBY_STEERS_WITHIN_S:
            return None
        time.sleep(LOOK_S)  # each look starts a process beside the clients
    return time.monotonic() - killed_s


def _reachable(kubectl: Kubectl, leader: str, *, instead_of: str) -> bool:
    """Whether the operator's Service, where sidecars report, leads to this pod."""
    if leader in ("", instead_of):
        return False
    where = f"--namespace={NAMESPACE}"
    service = f"--selector=kubernetes.io/service-name={LEASE}"
    slices = kubectl.items("endpointslices", where, service)
    endpoints = [endpoint for one in slices for endpoint in one.get("endpoints") or ()]
    ready = [e for e in endpoints if e["conditions"].get("ready")]
    return any(e.get("targetRef", {}).get("name") == leader for e in ready)


def _leader(kubectl: Kubectl) -> str:
    lease = kubectl.get("lease", LEASE, f"--namespace={NAMESPACE}")
    holder: str = lease["spec"].get("holderIdentity") or ""
    return holder


async def _until_new_pods_are_open(stage: Stage, old: set[str], count: int) -> None:
    def ready() -> bool:
        return len([p for p in stage.pods.alive() if p.name not in old and p.ready]) >= count

    await stage.until(f"{count} new pods", ready, 120)


async def _delete_open_pods(kubectl: Kubectl, stage: Stage, old: set[str]) -> None:
    """Those that the operator has left in the Service."""
    alive = [pod for pod in stage.pods.alive() if pod.deleted_s is None]
    opened = [pod.name for pod in alive if pod.ready and pod.labels.get(LABEL_ADMIT) == "true"]
    stage.progress.done(f"open: {len(opened)} of {len(alive)}")
    where = f"--namespace={stage.workload.namespace}"
    await asyncio.to_thread(kubectl, "delete", "pods", *opened, where, "--wait=false")


def _all_open(stage: Stage) -> bool:
    alive = stage.pods.alive()
    labels = [pod.labels.get(LABEL_ADMIT) for pod in alive]
    return len(alive) == stage.workload.pods and set(labels) == {"true"}
