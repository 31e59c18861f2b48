"""Whole streams out of fractional shares: the method of largest remainders (Hamilton's).

Shares that are cut one by one lose up to a stream each. In a fleet of many small pods that is
everything: 49 pods that owe a third of a stream each would give none, and the fiftieth would stay
empty.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

_ROUNDING = 1e-6
"""A sum of shares this close below a whole number is that number."""


def apportion(shares: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers for shares ≥ 0, in the same order.

    Each is its share rounded down or up, and their sum is the sum of the shares rounded down. The
    largest remainders are rounded up; of equal ones the first by key, so that two looks agree.
    """
    whole = {key: math.floor(share) for key, share in shares.items()}
    left = math.floor(math.fsum(shares.values()) + _ROUNDING) - sum(whole.values())
    by_remainder = sorted(shares, key=lambda key: (whole[key] - shares[key], key))
    for key in by_remainder[: max(0, left)]:
        whole[key] += 1
    return whole
