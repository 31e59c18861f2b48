"""Which pods are open and how fast may be drained: one decision.

A label change reaches the routers 0 to 1.1 s later (kube-proxy syncs once a second for all
Services of a node), so whatever is open now is open for about one horizon. The rule looks one
horizon ahead: the streams already in the air and those the budget would add must fit *evenly* on
the least loaded pods before the fullest of them passes the target. Several sets may do; the one
that leaves the least variance is taken. When none does, the set with the most room is opened and
the drain slows to what fits: the slow tail that decides the last percent of balance.

Run on a real cluster (kube-proxy iptables, 5 and 10 pods, 500 to 2,000 clients): 1.000 to 1.044
moves per client, 1.015 to 1.04 max/mean and 0.95 to 0.98 min/mean, while closing pods one by one at
their target ended at 1.15 / 0.75, because a late flip costs rate × lag streams on a single pod.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

SLACK_SHARE = 0.005
SLACK_SIGMAS = 0.3
"""How far over N/k a pod may be planned to be filled: this share of N/k, or of √(N/k), by which
chance alone spreads the pods; to be finer than that costs time and wins nothing."""

TAIL_FLOOR = 0.35
"""The least share of the budget at which a drain goes on when nothing has room."""

LAST_SLACK_SIGMAS = 0.5
LAST_FLOOR = 0.6
"""The same two once every pod is there and the last streams are let go: no further pod is short of
what one has too many, and evening out moves fewer than a crawl would save. 5 pods of 100 streams
that are deleted nearly at once take 1.11 of the shortest time instead of 1.15 (24 seeds; 1.14
instead of 1.22 the worst) for as many moves, 1.004: `tidegate simulate --pods 5 --clients 500
--budget 40 --surge 2 --unavailable 1 --ready-delay 4 --grace 60`. With them from the first drain
on, surge 1 would move 1.016 instead of 1.010. 0.7 and 0.8 save one percent more in the simulation,
but on a cluster 1.04 to 1.06 moves were needed in three of four rollouts."""

MEANWHILE_FLOOR = 0.65
"""The same where only the labels have to change first."""

NEARLY_AS_QUICK = 0.7
"""A set of pods with this share of the most room will do when it ends more evenly: or the last
streams would crawl to the one pod that chance has left behind."""

HYSTERESIS = 0.01
"""The open set is kept while a better one gains less than this share of the target per pod."""

OVER_TARGET_WEIGHT = 8.0
MEAN_LAG_SHARE = 0.64
"""The lag to expect of a flip, as a share of the longest: p50 to p90 lie at 0.45 to 0.95."""

DECISION_S = 0.25


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pod that may be opened, with its inferred load."""

    uid: str
    load: float


@dataclass(frozen=True, slots=True)
class Steering:
    """The pods to open and the rate at which streams may be let go towards them."""

    open: frozenset[str]
    rate_per_s: float


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is about to arrive.

    `in_air` streams are on their way; `left` are still to be let go by pods that drain now
    (``None``: nothing drains, so be ready for a drain at full rate). `horizon_s` is how long a
    decision binds, `retry_s` how long a let-go stream is in the air. `arriving_per_s` come without
    having been let go. The `target` does not count those that are still to come: they may stop.
    `lands_in_s`: when another set than the present one would have reached the routers. `last`: no
    pod is still to come that would take a share.
    """

    target: float
    in_air: float
    left: float | None
    budget_per_s: float
    horizon_s: float
    retry_s: float
    arriving_per_s: float = 0.0
    lands_in_s: float = 0.0
    last: bool = False

    @property
    def bound(self) -> float:
        """Streams that arrive within the horizon however slowly pods drain."""
        return self.in_air + self.arriving_per_s * self.horizon_s

    @property
    def ceiling(self) -> float:
        """How many streams a pod may be planned to hold."""
        sigmas = LAST_SLACK_SIGMAS if self.last else SLACK_SIGMAS
        return self.target + max(SLACK_SHARE * self.target, sigmas * math.sqrt(self.target))

    @property
    def ordering_s(self) -> float:
        """The part of the horizon in which what is let go also arrives."""
        return max(0.1, self.horizon_s - self.retry_s)

    @property
    def need(self) -> float:
        """Streams that arrive within the horizon at full budget."""
        more = self.ordering_s * self.budget_per_s
        return self.bound + (more if self.left is None else min(more, self.left))


def horizon_s(flip_in_s: float, flip_lag_s: float) -> float:
    """How long the routers stay as they are if the labels may change in `flip_in_s`."""
    return flip_in_s + MEAN_LAG_SHARE * flip_lag_s + DECISION_S


def steer(candidates: Sequence[Candidate], current: frozenset[str], outlook: Outlook) -> Steering:
    """Choose the open set among `candidates` (not empty) and the rate to drain at.

    `current` are the candidates that are open now; they are kept when nothing is much better. Until
    another set has reached the routers they take all that comes, so that they bound the rate, too:
    a pod that gets ready opens by itself, and a nearly full one beside it may have to stay open for
    two seconds. With a `retry:` of 100 ms that alone moved 2.3 % of the clients a second time.
    """
    ranked = sorted(candidates, key=lambda c: (c.load, c.uid))
    loads = [c.load for c in ranked]
    count, coming, rate = _how_many(loads, outlook)
    best = frozenset(c.uid for c in ranked[:count])
    if not current or current == best:
        return Steering(best, rate)
    kept_mask = [c.uid in current for c in ranked]
    best_mask = [i < count for i in range(len(ranked))]
    allowance = len(ranked) * (HYSTERESIS * outlook.target) ** 2
    ceiling = outlook.ceiling
    keep = _badness(loads, kept_mask, coming, ceiling) <= (
        _badness(loads, best_mask, coming, ceiling) + allowance
    )
    if keep:
        return Steering(current, rate)
    return Steering(best, min(rate, _meanwhile_per_s(loads, kept_mask, outlook)))


def _meanwhile_per_s(loads: Sequence[float], is_open: Sequence[bool], outlook: Outlook) -> float:
    """The rate that the present set can take until the next one has reached the routers."""
    held = [load for load, opened in zip(loads, is_open, strict=True) if opened]
    room = len(held) * (outlook.ceiling - max(held)) - outlook.in_air
    fits = room / max(0.1, outlook.lands_in_s - outlook.retry_s)
    return max(fits, MEANWHILE_FLOOR * outlook.budget_per_s)


def _how_many(loads: Sequence[float], outlook: Outlook) -> tuple[int, float, float]:
    """How many of the ascending `loads` to open, how many streams will come, and the rate.

    Where no set has room for all that would come at the full budget, the drain slows down to what
    fits; among the sets that are nearly as quick as the quickest the most even outcome counts. A
    crowd cannot be slowed down: where it fits nowhere the most even outcome of all sets counts.
    """
    rooms = [m * (outlook.ceiling - load) for m, load in enumerate(loads, start=1)]
    most, need = max(rooms), outlook.need
    coming = min(need, NEARLY_AS_QUICK * most if most > 0.0 else most)
    crowd = outlook.arriving_per_s * outlook.horizon_s > max(0.0, most)
    if crowd:
        coming = outlook.bound
    below = list(accumulate(loads))
    # The variance over all pods after `coming` fell evenly on the m least loaded, less what does
    # not depend on m: Σ(x + coming/m)² − Σx² = (2 coming Σx + coming²) / m.
    count = min(
        (m for m, room in enumerate(rooms, start=1) if crowd or room >= coming),
        key=lambda m: ((2 * below[m - 1] + coming) * coming / m, -m),
    )
    room = rooms[count - 1]
    if room >= need:
        return count, need, outlook.budget_per_s
    fits = (room - outlook.bound) / outlook.ordering_s
    floor = (LAST_FLOOR if outlook.last else TAIL_FLOOR) * outlook.budget_per_s
    return count, coming, min(outlook.budget_per_s, max(fits, floor))


def _badness(
    loads: Sequence[float], is_open: Sequence[bool], coming: float, ceiling: float
) -> float:
    share = coming / max(1, sum(is_open))
    after = [x + (share if o else 0.0) for x, o in zip(loads, is_open, strict=True)]
    mean = sum(after) / len(after)
    return sum((x - mean) ** 2 + OVER_TARGET_WEIGHT * max(0.0, x - ceiling) ** 2 for x in after)
