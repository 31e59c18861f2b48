"""Loads and plans while some pods have not reported (`silence` says which, and why it matters)."""

from __future__ import annotations

from dataclasses import replace

from tidegate.rollout.memory import Loads, WorkloadMemory
from tidegate.rollout.snapshot import Workload
from tidegate.rollout.view import View


def assumed(loads: Loads, workload: Workload, memory: WorkloadMemory, now: float) -> Loads:
    """The loads with a share for each pod of which none is known.

    That is the mean of the pods that have reported; for a pod that may be opened at least N/k, so
    that there is no room on it. Where none has reported, nothing can be assumed.
    """
    unknown = memory.silence.unknown(now)
    heard = [p.report.streams for p in workload.pods if p.report is not None]
    if not unknown or not heard:
        return loads
    awaited = memory.silence.awaited(now)
    mean = sum(heard) / len(heard)
    holding = sum(p.uid in (awaited if p.deleting else unknown) for p in workload.pods)
    total = loads.total + mean * holding
    share = max(mean, total / max(1, workload.replicas))
    ready = {p.uid: share for p in workload.pods if p.uid in unknown and not p.deleting}
    return replace(loads, total=total, of={**loads.of, **ready})


def kept(view: View, now: float) -> View:
    """The view as it is, or with labels and drains left as they are while reports are awaited.

    Deadlines are kept all the same, and an empty Service is filled.
    """
    if not view.memory.silence.awaited(now):
        return view
    lane = None if view.lane is None else replace(view.lane, ready=False)
    return replace(view, want=view.fleet.open or view.want, lane=lane)


def blind(workload: Workload) -> bool:
    """Whether no pod at all has reported, so that nothing can be steered by loads."""
    return any(p.ready for p in workload.pods) and all(p.report is None for p in workload.pods)
