"""Workloads behind the same stream Service are one fleet: a canary beside the stable Deployment.

The Service picks among all of its pods, so they can only be steered together. Planned apart, a
rollout of the one would close most of its own pods and flood the other's, and a Deployment that is
taken away would wait for a pod of its own to drain to. Joined, each pod of the canary is a pod like
any other: it gets N/k streams, never more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from tidegate.rollout.snapshot import Pod, Workload


def joined(workloads: Sequence[Workload]) -> tuple[Workload, ...]:
    """The workloads, those that share a stream Service and may be steered made one.

    A joined one has the name of its largest member, the sum of the replicas, and a revision of its
    own, which every pod has that is of its own workload's desired revision.
    """
    fleets: dict[str, list[Workload]] = defaultdict(list)
    for workload in workloads:
        shared = workload.stream_service if workload.steerable else None
        fleets[f"service {shared}" if shared else f"workload {workload.name}"].append(workload)
    return tuple(_one(members) if len(members) > 1 else members[0] for members in fleets.values())


def _one(members: Sequence[Workload]) -> Workload:
    leader = max(members, key=lambda w: (w.replicas, w.name))
    revision = "+".join(f"{w.name}@{w.revision}" for w in sorted(members, key=lambda w: w.name))
    rolling = [w for w in members if any(p.revision != w.revision for p in w.pods)]
    return replace(
        leader,
        replicas=sum(w.replicas for w in members),
        revision=revision,
        pods=tuple(_of_fleet(pod, w, revision) for w in members for pod in w.pods),
        paused=bool(rolling) and all(w.paused for w in rolling),
        injected=all(w.injected for w in members),
    )


def _of_fleet(pod: Pod, workload: Workload, revision: str) -> Pod:
    """The pod with the fleet's revision if it is desired, and with none of the fleet's if not."""
    return replace(pod, revision=revision if pod.revision == workload.revision else pod.revision)
