"""Workloads behind the same stream Service must read the same log.

A client of the Service may land on any of their pods. By default each workload has a log of its
own, so a canary's streams would not get what is published to a stable pod, and whoever is moved
there would be told of a gap. Such a workload is not steered, and nobody is moved onto it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from tidegate.contract.kube import KEY_PREFIX
from tidegate.rollout.snapshot import Workload

ANNOTATION_LOG: Final = f"{KEY_PREFIX}backplane-stream"


def with_strangers_refused(
    workloads: Sequence[Workload], logs: Mapping[str, str | None]
) -> tuple[Workload, ...]:
    """The workloads of one scope, those refused that have another log than their largest neighbour.

    `logs` are by workload name; ``None`` where a pod does not say.
    """
    behind: dict[str, list[Workload]] = defaultdict(list)
    for workload in workloads:
        if workload.stream_service is not None:
            behind[workload.stream_service].append(workload)
    first = {s: max(ws, key=lambda w: (w.replicas, w.name)) for s, ws in behind.items()}

    def checked(workload: Workload) -> Workload:
        largest = first.get(workload.stream_service or "")
        if largest is None or not workload.steerable:
            return workload
        mine, theirs = logs[workload.name], logs[largest.name]
        if mine is None or theirs is None or mine == theirs:
            return workload
        return replace(workload, steerable=False, refusal=_text(workload, mine, largest, theirs))

    return tuple(map(checked, workloads))


def _text(workload: Workload, mine: str, largest: Workload, theirs: str) -> str:
    return (
        f"its log is {mine}, that of {largest.name} behind the same Service "
        f"{workload.stream_service} is {theirs}, so what is published to the one never reaches "
        f"the streams of the other: annotate the pod templates of both with {ANNOTATION_LOG}: "
        f"{theirs}"
    )
