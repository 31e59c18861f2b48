"""Evening out a fleet at rest: the fullest pods give to those below the target.

Only on settled reports, and only when it is worth moving people: after a disturbance when a pod is
off the target by half of what chance alone would do (5 % of 100 streams, 3 % of 1,000), otherwise
only when chance cannot explain the difference. Random placement spreads pods by √(N/k), so an
undisturbed fleet is not moved for that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate

from tidegate.rollout.apportion import apportion

BAND = 0.03
TIGHT_SIGMAS = 0.5
LEAST_BAND_STREAMS = 4.0
CHANCE_SIGMAS = 4.0

IN_PLACE_BAND = 2 / 3
"""The band where pods are replaced in place, as a share of the target. Such a rollout always ends
with an empty pod, because the last successor comes when nothing is left to drain. With 3 pods it
has moved 4/3 of the clients by then, the least there is; evening out fully makes that 5/3, more
than a stock rollout (19/12, if successors are slower than clients), and half-way 14/9."""

MAX_ROUNDS = 2
"""Rounds without improvement after which an uneven fleet is left as it is."""

ROUND_S = 20.0
SETTLE_S = 1.5
RATE_SHARE = 0.5
IMPROVED = 0.9


def band(target: float, *, disturbed: bool, in_place: bool = False) -> float:
    """How far from the target a pod may be, in streams; see `Workload.in_place`."""
    if in_place:
        return max(IN_PLACE_BAND * target, band(target, disturbed=disturbed))
    sigma = math.sqrt(max(target, 0.0))
    tight = max(BAND * target, TIGHT_SIGMAS * sigma, LEAST_BAND_STREAMS)
    return tight if disturbed else max(tight, CHANCE_SIGMAS * sigma)


def excess(loads: Sequence[float], target: float) -> float:
    """The largest distance of a pod from the target, in streams."""
    return max((abs(n - target) for n in loads), default=0.0)


def donors(
    loads: Mapping[str, float], target: float, in_air: float, *, in_place: bool = False
) -> dict[str, float]:
    """What each pod would give away, in whole streams, with `in_air` already on their way.

    The fullest pods give, and only until every pod is within half of the band: giving down to the
    target itself would move more clients a second time.
    """
    near = band(target, disturbed=True, in_place=in_place) / 2
    over = sum(max(0.0, n - target - near) for n in loads.values())
    under = sum(max(0.0, target - near - n) for n in loads.values()) - in_air
    level = max(target, _level([*loads.values()], max(over, under)))
    given = apportion({uid: max(0.0, n - level) for uid, n in loads.items()})
    return {uid: float(n) for uid, n in given.items() if n > 0}


def _level(loads: Sequence[float], give: float) -> float:
    """The height at which what stands above it, summed over the pods, is `give`."""
    ranked = sorted(loads, reverse=True)
    levels = [(top - give) / n for n, top in enumerate(accumulate(ranked), start=1)]
    nexts = [*ranked[1:], -math.inf]
    return next(level for level, below in zip(levels, nexts, strict=True) if level >= below)


def receivers(loads: Mapping[str, float], target: float) -> list[str]:
    """Pods below the target."""
    return [uid for uid, n in loads.items() if n < target]
