"""One workload as the planner reads it: its pods sorted into new, old, going and starting.

The classes are derived from the snapshot alone, at every look, so that it does not matter which
look is the first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tidegate.contract.report import HOLD_S
from tidegate.rollout.memory import Loads
from tidegate.rollout.snapshot import Pod, Workload

_GOING_STATES = frozenset({"draining", "drained", "stopping"})
_KILL_MARGIN_S = 2.0
LOST_AFTER_S = 2 * HOLD_S


@dataclass(frozen=True, slots=True)
class Fleet:
    """The pods of one workload by role, with their inferred loads.

    `new`: ready pods of the desired revision. `old`: pods of another revision that are not deleted
    yet. `going`: pods that are being deleted or report that they drain. `starting`: pods of the
    desired revision that are not ready or not yet available. `arriving_per_s`: streams that arrive
    without having been let go (`arriving`).
    """

    workload: Workload
    loads: Loads
    new: tuple[Pod, ...]
    old: tuple[Pod, ...]
    going: tuple[Pod, ...]
    starting: tuple[Pod, ...]
    arriving_per_s: float = 0.0

    @property
    def target(self) -> float:
        """T = N/k, streams per pod when the workload is even."""
        return self.loads.total / max(1, self.workload.replicas)

    @property
    def rolling(self) -> bool:
        """Whether some pod is on its way out or will be."""
        return bool(self.old or self.going)

    @property
    def ready(self) -> tuple[Pod, ...]:
        """Pods that may be opened at all."""
        return (*self.new, *(p for p in self.old if p.ready))

    @property
    def open(self) -> frozenset[str]:
        """Pods that may be opened and are, as the API shows it."""
        return frozenset(p.uid for p in self.ready if p.admitted)

    @property
    def successors_overlap(self) -> bool:
        """Whether a pod's successor can be ready before the pod is gone, so that a drain may wait
        for it. Not in place, where it would wait out the grace period for a pod that its own end
        brings, and not where no pod is wanted at all.
        """
        return self.workload.replicas > 0 and not self.workload.in_place

    @property
    def more_to_come(self) -> bool:
        """Whether room on pods that are not ready yet may be waited for."""
        short = bool(self.old) or len(self.new) < self.workload.replicas
        return short and self.successors_overlap

    def load(self, pod: Pod) -> float:
        """What `pod` holds now."""
        return self.loads.of[pod.uid]

    def leaving(self) -> list[tuple[Pod, float]]:
        """Going pods that still hold streams, and how many."""
        held = [(p, self.load(p)) for p in self.going]
        return [(p, n) for p, n in held if n >= 0.5]

    def progressing(self) -> bool:
        """Whether the rollout is on its way: a pod drains or starts (not paused, no canary)."""
        return bool(self.leaving() or self.starting)


def is_going(pod: Pod) -> bool:
    """Whether a pod loses all its streams: deleted, or its sidecar reports that it drains."""
    return pod.deleting or (pod.report is not None and pod.report.state in _GOING_STATES)


def is_lost(pod: Pod) -> bool:
    """Whether a pod is only an object any more: not ready, and its sidecar silent for long.

    The pods of a dead node stay in the API, deleted or not, until the node comes back or is
    removed. A live sidecar reports at least every `HOLD_S`; for one that has never reported, only
    its deadline is known.
    """
    if pod.ready:
        return False
    if pod.report is not None:
        return pod.report_age_s > LOST_AFTER_S
    return pod.deleting and pod.deadline_in_s is not None and pod.deadline_in_s <= 0.0


def living(workload: Workload) -> Workload:
    """The workload without its lost pods, whose last reports would count streams twice."""
    return replace(workload, pods=tuple(p for p in workload.pods if not is_lost(p)))


def sort_out(workload: Workload, loads: Loads) -> Fleet:
    """Sort the pods of a workload by role."""
    staying = [p for p in workload.pods if not is_going(p)]
    desired = [p for p in staying if p.revision == workload.revision]
    return Fleet(
        workload=workload,
        loads=loads,
        new=tuple(p for p in desired if p.ready),
        old=tuple(p for p in staying if p.revision != workload.revision),
        going=tuple(p for p in workload.pods if is_going(p)),
        starting=tuple(p for p in desired if not (p.ready and p.available)),
    )


def left_s(pod: Pod) -> float | None:
    """Seconds until a going pod must be empty, by its sidecar's report or else by the API.

    The sidecar's deadline already leaves its reserve; the API's is the kill.
    """
    bounds = []
    if pod.report is not None and pod.report.deadline_in_s is not None:
        bounds.append(pod.report.deadline_in_s - pod.report_age_s)
    if pod.deadline_in_s is not None:
        bounds.append(pod.deadline_in_s - _KILL_MARGIN_S)
    return max(0.0, min(bounds)) if bounds else None
