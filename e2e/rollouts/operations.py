"""What people and autoscalers do to a Deployment: scale, pause, resume, undo; and what is left."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from e2e.kubectl import Kubectl
from e2e.rollouts.rollout import SLACK_S
from e2e.rollouts.stage import Stage
from tidegate.contract.names import LABEL_ADMIT


async def scale(kubectl: Kubectl, stage: Stage, pods: int) -> None:
    """``kubectl scale``, as an HPA does; from now on the stage's fleet has that many pods."""
    await on_deployment(kubectl, stage, "scale", f"--replicas={pods}")
    stage.workload = replace(stage.workload, pods=pods)


async def undo(kubectl: Kubectl, stage: Stage) -> None:
    """``kubectl rollout undo``."""
    await on_deployment(kubectl, stage, "rollout", "undo")


async def pause(kubectl: Kubectl, stage: Stage) -> None:
    """``kubectl rollout pause``."""
    await on_deployment(kubectl, stage, "rollout", "pause")


async def resume(kubectl: Kubectl, stage: Stage) -> None:
    """``kubectl rollout resume``."""
    await on_deployment(kubectl, stage, "rollout", "resume")


async def on_deployment(kubectl: Kubectl, stage: Stage, *words: str) -> None:
    """Run ``kubectl WORDS`` on the stage's Deployment; a word that begins with ``-`` comes last."""
    verbs = [word for word in words if not word.startswith("-")]
    options = [word for word in words if word.startswith("-")]
    workload = stage.workload
    where = f"--namespace={workload.namespace}"
    await asyncio.to_thread(kubectl, *verbs, workload.reference, where, *options)


async def until_ready(stage: Stage, count: int, *, beside: str) -> None:
    """Until that many pods are ready that are of another revision than `beside`."""

    def ready() -> bool:
        return len([p for p in stage.pods.alive() if p.revision != beside and p.ready]) >= count

    await stage.until(f"{count} new pods", ready, SLACK_S + count * _longest_step_s(stage))


async def until_only(stage: Stage, revision: str) -> None:
    """Until the fleet is as desired: k ready pods, all of that revision, and no other exists."""
    workload = stage.workload

    def alone() -> bool:
        alive = stage.pods.alive()
        right = [p for p in alive if p.revision == revision and p.ready and p.deleted_s is None]
        return len(right) == len(alive) == workload.pods

    longest_s = SLACK_S + workload.pods * _longest_step_s(stage)
    await stage.until(f"{workload.pods} pods of {revision} alone", alone, longest_s)


def other_revision(stage: Stage, revision: str) -> str:
    """The template hash of the pods that are not of this revision."""
    return next(pod.revision for pod in stage.pods.alive() if pod.revision != revision)


def closed(stage: Stage) -> set[str]:
    """Ready pods that the stream Service leaves out."""
    ready = [pod for pod in stage.pods.alive() if pod.ready and pod.deleted_s is None]
    return {pod.name for pod in ready if pod.labels.get(LABEL_ADMIT) != "true"}


def _longest_step_s(stage: Stage) -> float:
    return stage.workload.min_ready_s + stage.workload.grace_s
