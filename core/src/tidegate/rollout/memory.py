"""What the planner remembers between two looks, and the loads it infers from it.

Reports are up to a quarter of a second late (a pod whose counts have not changed sends none) and
a stream that was let go is nowhere for the length of its `retry:`. From the drains it has ordered
the planner knows how many streams are in the air and how many of them have landed since a pod's
report. Memory only sharpens these figures: an empty one is always safe, because reports alone still
add up to the fleet a second later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tidegate.contract.report import ROLLING_REPORT_S
from tidegate.rollout.arriving import Arriving
from tidegate.rollout.holding import Hold
from tidegate.rollout.lag import Lag
from tidegate.rollout.silence import Silence
from tidegate.rollout.snapshot import Pod

TOTAL_WINDOW_S = 3.0
HEARD_WITHIN_S = ROLLING_REPORT_S + 0.25
"""While streams move, a pod whose counts have changed has reported them within this time: one
report interval, one reconcile and the network. An older report is then still true.
"""

SAME_DEADLINE_S = 0.5
"""How far apart two readings of one deadline may be: half of what the API rounds its times to."""

_FORGET_AFTER_S = 20.0
_NEVER_S = float("-inf")


@dataclass(frozen=True, slots=True)
class Segment:
    """An ordered stretch of a drain: `rate_per_s` streams of pod `uid` let go in [start, end)."""

    uid: str
    start_s: float
    end_s: float
    rate_per_s: float


@dataclass(frozen=True, slots=True)
class WorkloadMemory:
    """What is remembered of one workload; times are the planner's `now`.

    `doomed_open_s`: when a pod that drains or will drain was last seen open, so that a drain can
    wait until the flip has landed. `deadlines_s`: when each pod that drains must be empty, as first
    reported. `disturbed`: whether streams have been moved or lost since the
    last time the balance was settled. `shedding_s`: start of the running shed round. `lag`: how
    late label changes were seen to land. `silence`: pods that have not reported. `hold`: why drains
    wait. `arriving`: how the fleet grows, `crowded` whether it has grown since it was disturbed, so
    that chance has placed its streams. `still_since_s`: since when the pods, and those of them that
    are `up` (ready and available), have been the same, with none leaving.
    """

    segments: tuple[Segment, ...] = ()
    totals: tuple[tuple[float, float], ...] = ()
    flipped_s: float = _NEVER_S
    doomed_open_s: float | None = None
    deadlines_s: Mapping[str, float] = field(default_factory=dict)
    stalled_since_s: float | None = None
    resting_since_s: float | None = None
    revision: str | None = None
    costs_written_s: float = _NEVER_S
    uids: frozenset[str] = frozenset()
    up: frozenset[str] = frozenset()
    still_since_s: float | None = None
    disturbed: bool = False
    shedding_s: float | None = None
    shed_rounds: int = 0
    shed_excess: float | None = None
    forced_told: bool = False
    refusal_sent: str | None = None
    lag: Lag = field(default_factory=Lag)
    silence: Silence = field(default_factory=Silence)
    hold: Hold = field(default_factory=Hold)
    arriving: Arriving = field(default_factory=Arriving)
    crowded: bool = False

    def ended_between(self, start_s: float, end_s: float, uid: str | None = None) -> float:
        """Ordered endings in [start, end), of one pod or of all."""
        total = 0.0
        # A loop, and only over what overlaps: half of the planner's time was spent in a sum here.
        for s in self.segments:
            if s.end_s > start_s and s.start_s < end_s and (uid is None or s.uid == uid):
                total += (min(end_s, s.end_s) - max(start_s, s.start_s)) * s.rate_per_s
        return total

    def with_deadlines(self, now: float, left_s: Mapping[str, float | None]) -> WorkloadMemory:
        """The deadlines of the pods that drain now, given the seconds each has left by its report.

        A report is in flight for an unknown time, so each one gives the same deadline a little
        differently. The first value holds until a later one differs by more than that: pods that
        were deleted together would otherwise change places at every reconcile.
        """
        reported = {uid: now + left for uid, left in left_s.items() if left is not None}
        return replace(self, deadlines_s={u: self._kept(u, at) for u, at in reported.items()})

    def _kept(self, uid: str, heard_s: float) -> float:
        known_s = self.deadlines_s.get(uid, heard_s)
        return known_s if abs(known_s - heard_s) <= SAME_DEADLINE_S else heard_s

    def with_segments(self, now: float, ordered: tuple[Segment, ...]) -> WorkloadMemory:
        """The past of the known segments and the future of the newly ordered ones."""
        past = [
            s if s.end_s <= now else replace(s, end_s=now)
            for s in self.segments
            if s.start_s < now and s.end_s > now - _FORGET_AFTER_S
        ]
        return replace(self, segments=_joined((*past, *ordered)))


def _joined(segments: tuple[Segment, ...]) -> tuple[Segment, ...]:
    """Segments that continue one another at the same rate made one; keeps the list short."""
    result: list[Segment] = []
    last: dict[str, int] = {}
    for s in segments:
        index = last.get(s.uid)
        if index is not None:
            before = result[index]
            if abs(before.end_s - s.start_s) < 1e-6 and before.rate_per_s == s.rate_per_s:
                result[index] = replace(before, end_s=s.end_s)
                continue
        last[s.uid] = len(result)
        result.append(s)
    return tuple(result)


@dataclass(frozen=True, slots=True)
class Memory:
    """All that the planner remembers: per workload name. ``Memory()`` is the empty one."""

    workloads: Mapping[str, WorkloadMemory] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Loads:
    """The inferred present of one workload.

    `total` is N, the clients of the workload including those in the air; `in_air` those between
    two streams; `of` what each pod holds now, arrivals and endings since its report included.
    """

    total: float
    in_air: float
    of: Mapping[str, float]


def infer_loads(
    pods: tuple[Pod, ...], memory: WorkloadMemory, now: float, retry_s: float
) -> tuple[Loads, WorkloadMemory]:
    """Loads now, and the memory with this look's total in it.

    A stream ended at t arrives at t + `retry_s` on one of the open pods, each equally likely
    (kube-proxy's random choice). N is the highest total of the last `TOTAL_WINDOW_S`, so that a
    report that misses arrivals does not make the fleet shrink.
    """
    in_air = memory.ended_between(now - retry_s, now)
    reported = sum(p.report.streams for p in pods if p.report is not None)
    window = [(t, n) for t, n in memory.totals if t > now - TOTAL_WINDOW_S]
    window.append((now, reported + in_air))
    open_count = sum(p.open for p in pods)
    of = {p.uid: _load(p, memory, now, retry_s, open_count) for p in pods}
    loads = Loads(total=max(n for _, n in window), in_air=in_air, of=of)
    return loads, replace(memory, totals=_thinned(window))


def _load(pod: Pod, memory: WorkloadMemory, now: float, retry_s: float, open_count: int) -> float:
    if pod.report is None:
        return 0.0
    since = now - min(pod.report_age_s, HEARD_WITHIN_S)
    load = float(pod.report.streams) - memory.ended_between(since, now, pod.uid)
    if pod.open:
        load += memory.ended_between(since - retry_s, now - retry_s) / open_count
    return max(0.0, load)


def _thinned(window: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Only the totals that can still become the maximum: a falling staircase."""
    stairs: list[tuple[float, float]] = []
    for t, n in window:
        while stairs and stairs[-1][1] <= n:
            stairs.pop()
        stairs.append((t, n))
    return tuple(stairs)


def since(since_s: float | None, now: float, *, holds: bool) -> float | None:
    """Since when something that `holds` now has held without a break."""
    if not holds:
        return None
    return now if since_s is None else since_s
