"""The pods that may let go of streams now, and how fast: earliest deadline first, one budget.

Draining pods are served one after the other, each at the full rate that its workload's open pods
can take evenly; serving them side by side would only lengthen every one of them (earliest deadline
first is optimal on one resource: Liu and Layland 1973). A pod that must wait gets an order to wait,
because without one it would start its own plan. When the deadlines ask for more than the budget,
the least rate that meets all of them is used and nothing holds the pods concerned.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.contract.report import PLAN_VALID_S, Plan
from tidegate.rollout.memory import Segment

PACE_SHARE = 0.97
"""The share of the budget that is let go evenly. The budget bounds the returns within a
second, and returns delayed on the way bunch: a stall of 50 ms is 5 % of a second's returns."""

FORCE_SHARE = 0.9
"""Deadlines force once they ask for this share of the budget: later would need more than all."""

UNLANDED_RETRY_MS = 750
"""The least `retry:` while routers may still lead to a closed pod: what comes back at once would be
bounced there, or land on a pod that drains next."""

ABSENT_RETRY_MS = 3000
"""The least `retry:` where no pod is there to come back to and the next one needs this pod's end:
what browsers wait by themselves, and about as long as a pod takes to start."""

AT_ONCE_S = 1.0
"""Over about how long such a pod lets its streams go."""

_LEAST_LEFT_S = 0.5
_SAME_RATE = 0.1
_LESS = 0.99
_SAME_START_S = 0.15
RENEW_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """A pod that has streams to let go: how many, and how long it has before it must be done.

    ``left_s`` is ``None`` for a pod without a deadline (a shed). `due_s` is the deadline on the
    planner's clock as it was first reported, and decides the order: the seconds left differ a
    little from report to report.
    """

    uid: str
    streams: float
    left_s: float | None
    due_s: float = math.inf
    kind_shed: bool = False


@dataclass(frozen=True, slots=True)
class Lane:
    """The jobs of one workload and what holds them back.

    `rate_per_s` is what its open pods can take evenly, `credit` how many streams may be let go at
    all (``None``: any number), `ready` whether a drain may start: a pod to drain to is open and
    the routers know. `landed`: no router leads to a closed pod any more. `at_once`: there is no
    pod to go to, and the next one comes only when these are gone, so that only the returns keep
    the budget.
    """

    workload: str
    jobs: tuple[Job, ...]
    rate_per_s: float
    credit: float | None
    ready: bool
    landed: bool = True
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Paced:
    """Plans per pod, what they order (absolute times), and whether deadlines broke the budget."""

    plans: dict[str, Plan]
    segments: dict[str, tuple[Segment, ...]]
    forced_rate_per_s: float | None


def urgency(jobs: Sequence[Job]) -> tuple[float, frozenset[str]]:
    """The least rate that lets every job meet its deadline, and the jobs that ask for it.

    In order of deadlines the first j jobs need (n₁ + … + nⱼ) / leftⱼ streams per second.
    """
    total, worst, critical = 0.0, 0.0, 0
    ranked = sorted(jobs, key=lambda j: (math.inf if j.left_s is None else j.left_s, j.uid))
    for count, job in enumerate(ranked, start=1):
        total += job.streams
        asked = 0.0 if job.left_s is None else total / max(job.left_s, _LEAST_LEFT_S)
        if asked > worst:
            worst, critical = asked, count
    return worst, frozenset(j.uid for j in ranked[:critical])


def pace(lanes: Sequence[Lane], budget_per_s: float, retry_ms: int, now: float) -> Paced:
    """Give each job of each lane a plan; the sum of rates stays within the budget.

    Lanes are served by their earliest deadline; what the first cannot use (a slow tail), the next
    one gets.
    """
    asked, critical = urgency([job for lane in lanes for job in lane.jobs])
    force = asked >= FORCE_SHARE * budget_per_s
    forced = critical if force else frozenset()
    spare = max(budget_per_s, asked) if force else PACE_SHARE * budget_per_s
    plans: dict[str, Plan] = {}
    segments: dict[str, tuple[Segment, ...]] = {}
    order = sorted(lanes, key=lambda lane: min((j.due_s for j in lane.jobs), default=math.inf))
    for lane in sorted(order, key=lambda lane: not any(j.uid in forced for j in lane.jobs)):
        pressed = any(j.uid in forced for j in lane.jobs)
        rate = spare if pressed else min(lane.rate_per_s, spare)
        if lane.at_once:
            used, lane_plans, lane_segments = _let_go_at_once(lane, rate, retry_ms, now)
        else:
            used, lane_plans, lane_segments = _serve(lane, rate, forced, retry_ms, now)
        spare -= used
        plans |= lane_plans
        segments[lane.workload] = lane_segments
    return Paced(plans, segments, asked if force and asked > budget_per_s else None)


def _serve(
    lane: Lane, rate: float, forced: frozenset[str], retry_ms: int, now: float
) -> tuple[float, dict[str, Plan], tuple[Segment, ...]]:
    plans: dict[str, Plan] = {}
    segments: list[Segment] = []
    credit = math.inf if lane.credit is None else lane.credit
    start_s = 0.0
    retry_ms = retry_ms if lane.landed else max(retry_ms, UNLANDED_RETRY_MS)
    for job in sorted(lane.jobs, key=lambda j: (j.uid not in forced, j.due_s, j.uid)):
        press = job.uid in forced
        count = job.streams if press else min(job.streams, credit)
        if rate <= 0.0 or count < 1.0 or not (lane.ready or press):
            if not job.kind_shed:
                plans[job.uid] = Plan("wait", retry_ms=retry_ms, valid_for_s=PLAN_VALID_S)
            continue
        whole = count >= job.streams and not job.kind_shed
        plans[job.uid] = Plan(
            kind="shed" if job.kind_shed else "drain",
            start_in_s=start_s,
            rate_per_s=rate,
            count=None if whole else int(count),
            retry_ms=retry_ms,
            valid_for_s=max(PLAN_VALID_S, start_s + PLAN_VALID_S),
        )
        begin = now + start_s
        segments.append(Segment(job.uid, begin, begin + count / rate, rate))
        credit -= count
        start_s += count / rate
    return (rate if segments else 0.0), plans, tuple(segments)


def _let_go_at_once(
    lane: Lane, returns_per_s: float, retry_ms: int, now: float
) -> tuple[float, dict[str, Plan], tuple[Segment, ...]]:
    """All pods side by side, each with its share of the returns."""
    streams = sum(job.streams for job in lane.jobs)
    plans: dict[str, Plan] = {}
    segments: list[Segment] = []
    for job in lane.jobs if returns_per_s > 0.0 else ():
        share_per_s = returns_per_s * job.streams / streams
        leave_per_s = max(job.streams / AT_ONCE_S, share_per_s)
        plans[job.uid] = Plan(
            kind="drain",
            rate_per_s=leave_per_s,
            retry_ms=max(retry_ms, ABSENT_RETRY_MS),
            returns_per_s=share_per_s,
        )
        segments.append(Segment(job.uid, now, now + job.streams / leave_per_s, leave_per_s))
    return (returns_per_s if segments else 0.0), plans, tuple(segments)


def worth_sending(new: Plan | None, sent: Plan | None, age_s: float) -> bool:
    """Whether `new` must be sent to a pod that got `sent` `age_s` ago.

    A plan that repeats what the pod already does is sent once a second, well before the last one
    expires; a different kind, start or count is sent at once, a rate that is higher by more than a
    tenth, and any lower one: another workload under the policy has been given the difference.
    """
    if new is None or sent is None:
        return new is not sent
    if new.kind != sent.kind or age_s >= RENEW_AFTER_S:
        return True
    if new.kind == "wait":
        return False
    if not _LESS * sent.rate_per_s <= new.rate_per_s <= (1 + _SAME_RATE) * sent.rate_per_s:
        return True
    started, starts = sent.start_in_s <= age_s, new.start_in_s <= _SAME_START_S
    same_start = (started and starts) or (
        abs(new.start_in_s - (sent.start_in_s - age_s)) <= _SAME_START_S
    )
    return not same_start or not _same_count(new, sent, age_s)


def _same_count(new: Plan, sent: Plan, age_s: float) -> bool:
    """Whether a count means the same, given the streams let go since it was sent."""
    if new.count is None or sent.count is None:
        return new.count is sent.count
    gone = max(0.0, age_s - sent.start_in_s) * sent.rate_per_s
    return abs(new.count - (sent.count - gone)) <= max(2.0, _SAME_RATE * sent.count)
