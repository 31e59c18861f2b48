"""Single values of an object, read leniently: one out of bounds counts as absent."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Final

MOST_INTEGER: Final = 2**31 - 1
"""The API's int32: replicas, revisions and deletion costs are none larger."""

MOST_SECONDS: Final = 10**9
MOST_DIGITS: Final = 20


def timestamp_s(text: object) -> float | None:
    """An RFC 3339 timestamp as Unix seconds; ``None`` for anything else."""
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def seconds(value: object) -> float | None:
    """A whole number of seconds; ``None`` for anything else."""
    return float(value) if isinstance(value, int) and 0 <= value <= MOST_SECONDS else None


def count(value: object, default: int) -> int:
    """A number of things, `default` for anything else."""
    return value if isinstance(value, int) and 0 <= value <= MOST_INTEGER else default


def whole(text: object) -> int | None:
    """An annotation's whole number, or a percentage's; ``None`` for anything else."""
    if not isinstance(text, str) or len(text) > MOST_DIGITS:
        return None
    try:
        value = int(text)
    except ValueError:
        return None
    return value if abs(value) <= MOST_INTEGER else None


def pods_of(value: object, replicas: int, *, up: bool) -> int:
    """An int-or-percentage of `replicas` as a number of pods; `up`: a part of a pod is a whole."""
    if isinstance(value, str) and value.endswith("%"):
        share = (whole(value[:-1]) or 0) * replicas / 100
        return math.ceil(share) if up else math.floor(share)
    return count(value, 0)
