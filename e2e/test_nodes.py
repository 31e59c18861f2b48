"""A node of three leaves with its pods: asked to by ``kubectl drain``, or without a word."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from e2e.cluster.provider import Cluster
from e2e.goals import ROLLBACK, UNHARMED, missed, show
from e2e.installation import Installation
from e2e.kubectl import Kubectl
from e2e.rollouts.events import until_all_ready, until_everybody_is_back
from e2e.rollouts.happening import Happening, happening
from e2e.rollouts.nodes import drained, node_to_lose, pods_on, stopped
from e2e.rollouts.stage import Audience, Stage
from e2e.rollouts.workload import Workload
from tidegate.contract.kube import KEY_PREFIX
from tidegate.contract.names import MODE_STOCK, MODE_TIDEGATE
from tidegate.score.goals import Goal
from tidegate.score.measures import percentile
from tidegate.score.scorecard import Run

NODES = 3
PODS = 2 * NODES

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.nodes(NODES),
    pytest.mark.timeout(600),
]

AUDIENCE = Audience(clients=500)
DRAINED = (*ROLLBACK, Goal("peak_over_budget", "<=", 1.15))
MOVES_PER_AFFECTED = 1.10
"""One per client of an evicted pod, and those that even out the fleet afterwards."""

ACCEPTED_PER_S = 20
"""What a pod is told that the fleet takes; when a node dies, several pods die together."""

REASSIGNED = 1.25
"""A stream's `retry:` is assigned anew when its pod has a quarter more streams, not before."""

SPREAD_PEAK = PODS / NODES * ACCEPTED_PER_S * REASSIGNED
"""The most that return in a second where every client of a node keeps to its assigned `retry:`."""

TOLERATED_S = 5
"""How long a pod is left on a node that does not answer; Kubernetes' own default is 300."""

GRACE_S = 30
UNREADY_WITHIN_S = 60.0
REPLACED_WITHIN_S = 60.0
EVEN_WITHIN_S = 90.0
GONE_WITHIN_S = 120.0
MOST_OVER_MEAN, LEAST_OVER_MEAN = 1.10, 0.88


@dataclass(frozen=True, slots=True)
class Loss:
    """A run in which a node was lost, and how many clients had their stream on it.

    `back_s`: seconds after the loss at which each of these had a stream again.
    """

    run: Run
    affected: int
    moves: int
    back_s: tuple[float, ...]
    unacknowledged: int


async def test_a_drained_node_is_not_felt(
    kubectl: Kubectl, installation: Installation, cluster: Cluster
) -> None:
    """Its clients move once, at the budget's pace, to pods that stay; the others hardly at all."""
    seen = await _drain(kubectl, installation, cluster, MODE_TIDEGATE)
    show("(d) kubectl drain of a node of 3", [seen.run])
    print(f"moves per client of an evicted pod: {seen.moves / seen.affected:.3f} ({seen.affected})")
    assert missed([seen.run], DRAINED) == []
    assert seen.moves <= MOVES_PER_AFFECTED * seen.affected


async def test_a_drained_node_is_felt_without_drain(
    kubectl: Kubectl, installation: Installation, cluster: Cluster
) -> None:
    """Stock: every stream of the node is cut, and all of its clients return at once."""
    installation.scale("operator", 0)
    try:
        seen = await _drain(kubectl, installation, cluster, MODE_STOCK)
    finally:
        installation.scale("operator", 2)
    show("(d) kubectl drain of a node of 3, stock", [seen.run])
    misses = missed([seen.run], DRAINED)
    assert any("cut_without_goodbye" in miss for miss in misses)
    assert any("peak_over_budget" in miss for miss in misses)


async def test_a_stopped_node_costs_no_event(
    kubectl: Kubectl, installation: Installation, cluster: Cluster
) -> None:
    """Its clients come back over their assigned spread and resume; the fleet ends even."""
    seen = await _stop(kubectl, installation, cluster, "e2e-node-stops", {}, _until_replaced)
    show("(h) a node of 3 stopped", [seen.run])
    _tell(seen)
    card = seen.run.scorecard
    assert missed([seen.run], UNHARMED) == []
    assert card.cut_without_goodbye == seen.affected
    assert seen.unacknowledged == 0
    assert card.peak_moves_1s is not None
    assert card.peak_moves_1s <= SPREAD_PEAK


async def test_a_stopped_node_is_felt_without_replay_and_spread(
    kubectl: Kubectl, installation: Installation, cluster: Cluster
) -> None:
    """What was published meanwhile is lost, and everybody returns in the same second."""
    off = {f"{KEY_PREFIX}replay": "off", f"{KEY_PREFIX}retry": "off"}
    seen = await _stop(kubectl, installation, cluster, "e2e-node-bare", off, _until_settled)
    shown = replace(seen.run, mode="tidegate without replay and retry")
    show("(h) a node of 3 stopped, without replay and assigned retry", [shown])
    _tell(seen)
    assert any("lost" in miss for miss in missed([seen.run], UNHARMED))
    assert seen.run.scorecard.peak_moves_1s is not None
    assert seen.run.scorecard.peak_moves_1s > SPREAD_PEAK


async def _drain(kubectl: Kubectl, installation: Installation, cluster: Cluster, mode: str) -> Loss:
    workload = Workload(
        image=installation.images.sidecar.name,
        mode=mode,
        namespace=f"e2e-node-drain-{mode}",
        pods=PODS,
        spread=True,
    )
    node = await asyncio.to_thread(node_to_lose, kubectl, cluster)
    async with happening(kubectl, workload, AUDIENCE) as seen:
        stage = seen.stage
        leaving = await asyncio.to_thread(pods_on, kubectl, workload, node)
        affected = _streams_on(stage, leaving)
        seen.begin()
        async with drained(kubectl, node):
            stage.progress.done(f"{node} and its {len(leaving)} pods: {stage.standing()}")
            await until_all_ready(stage, PODS)
            await stage.settle()
    return _loss(seen, affected)


async def _stop(
    kubectl: Kubectl,
    installation: Installation,
    cluster: Cluster,
    namespace: str,
    annotations: dict[str, str],
    during: Callable[[Stage, list[str]], Awaitable[None]],
) -> Loss:
    """Stop a node; once everybody is back and `during` is over, start it again."""
    workload = Workload(
        image=installation.images.sidecar.name,
        namespace=namespace,
        pods=PODS,
        min_ready_s=0,
        grace_s=GRACE_S,
        spread=True,
        pod={"tolerations": _tolerations()},
        annotations={f"{KEY_PREFIX}accept-rate-per-s": str(ACCEPTED_PER_S), **annotations},
    )
    node = await asyncio.to_thread(node_to_lose, kubectl, cluster)
    async with happening(kubectl, workload, AUDIENCE, stuck_pods=True) as seen:
        stage = seen.stage
        dead = await asyncio.to_thread(pods_on, kubectl, workload, node)
        affected = _streams_on(stage, dead)
        seen.begin()
        async with stopped(kubectl, cluster, node):
            await stage.until("its streams are gone", lambda: _cut(stage, affected), 10)
            await until_everybody_is_back(stage)
            await during(stage, dead)
        await stage.until("no pod is stuck", lambda: _none_is_left(stage, dead), GONE_WITHIN_S)
        await until_all_ready(stage, PODS)
    return _loss(seen, affected)


async def _until_replaced(stage: Stage, dead: list[str]) -> None:
    """Until the dead node's pods are not ready, others stand in for them, and the fleet is even."""
    pods = stage.pods
    unready = "its pods are not ready"
    await stage.until(unready, lambda: not any(pods.seen[p].ready for p in dead), UNREADY_WITHIN_S)
    await stage.until("others are ready", lambda: len(_serving(stage)) == PODS, REPLACED_WITHIN_S)
    await stage.until("the fleet is even", lambda: _is_even(stage), EVEN_WITHIN_S)


async def _until_settled(stage: Stage, dead: list[str]) -> None:
    await stage.settle()


def _loss(seen: Happening, affected: int) -> Loss:
    """The outcome for the clients of the node."""
    arrivals_s = sorted(seen.result["arrivals_s"])
    return Loss(
        run=seen.run,
        affected=affected,
        moves=sum(seen.result["moves"]),
        back_s=tuple(at - seen.began_s for at in arrivals_s[:affected]),
        unacknowledged=seen.stage.publisher.unacknowledged,
    )


def _tolerations() -> list[dict[str, Any]]:
    states = ("not-ready", "unreachable")
    same = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATED_S}
    return [{"key": f"node.kubernetes.io/{state}", **same} for state in states]


def _streams_on(stage: Stage, pods: list[str]) -> int:
    assert pods
    return sum(stage.load.progress.streams.get(pod, 0) for pod in pods)


def _cut(stage: Stage, affected: int) -> bool:
    return stage.load.progress.cuts >= affected


def _serving(stage: Stage) -> list[str]:
    return [p.name for p in stage.pods.alive() if p.ready and p.deleted_s is None]


def _is_even(stage: Stage) -> bool:
    """As a rollback must end."""
    mean = stage.audience.clients / PODS
    held = [stage.load.progress.streams.get(pod, 0) / mean for pod in _serving(stage)]
    return max(held) <= MOST_OVER_MEAN and min(held) >= LEAST_OVER_MEAN


def _none_is_left(stage: Stage, dead: list[str]) -> bool:
    """Deleted while their node was away, they are gone once it is back."""
    return all(pod.name not in dead or pod.deleted_s is None for pod in stage.pods.alive())


def _tell(seen: Loss) -> None:
    shares = (0.50, 0.90, 0.99, 1.0)
    back = ", ".join(f"{share:.0%} {percentile(seen.back_s, share):.1f} s" for share in shares)
    print(f"of {seen.affected} clients were back after: {back}; moves {seen.moves}")
