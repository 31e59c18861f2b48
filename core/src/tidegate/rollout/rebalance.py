"""Evening out a fleet at rest: pods above the target give their excess to pods below it.

Only on settled reports, and only when it is worth moving people: after a disturbance when a pod is
off the target by half of what chance alone would do (5 % of 100 streams, 3 % of 1,000), otherwise
only when chance cannot explain the difference. Random placement spreads pods by √(N/k), so a fleet
that nobody touched is not stirred for that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

BAND = 0.03
TIGHT_SIGMAS = 0.5
LEAST_BAND_STREAMS = 4.0
CHANCE_SIGMAS = 4.0
MAX_ROUNDS = 2
"""Rounds without improvement after which an uneven fleet is left as it is."""

ROUND_S = 20.0
SETTLE_S = 1.5
RATE_SHARE = 0.5
IMPROVED = 0.9


def band(target: float, *, disturbed: bool) -> float:
    """How far from the target a pod may be, in streams."""
    sigma = math.sqrt(max(target, 0.0))
    tight = max(BAND * target, TIGHT_SIGMAS * sigma, LEAST_BAND_STREAMS)
    return tight if disturbed else max(tight, CHANCE_SIGMAS * sigma)


def excess(loads: Sequence[float], target: float) -> float:
    """The largest distance of a pod from the target, in streams."""
    return max((abs(n - target) for n in loads), default=0.0)


def donors(loads: Mapping[str, float], target: float) -> dict[str, float]:
    """What each pod above the target would give away, in whole streams."""
    over = {uid: float(math.floor(n - target)) for uid, n in loads.items()}
    return {uid: n for uid, n in over.items() if n >= 1.0}


def receivers(loads: Mapping[str, float], target: float) -> list[str]:
    """Pods below the target."""
    return [uid for uid, n in loads.items() if n < target]
