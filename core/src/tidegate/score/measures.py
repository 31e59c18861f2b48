"""The formulas behind the scorecard, each on plain numbers.

Times are seconds on one monotonic clock; nothing here knows where they came from.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamChange:
    """One stream was established on a pod (`delta` 1) or ended there (`delta` -1) at `at_s`."""

    at_s: float
    pod: str
    delta: int


def percentile(values: Sequence[float], share: float) -> float | None:
    """The nearest-rank percentile of `values` (any order); ``None`` of nothing.

    `share` is in 0..1. Nearest rank, because it is a value that really occurred.
    """
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def peak_in_window(times_s: Iterable[float], window_s: float = 1.0) -> int:
    """The most of `times_s` in any half-open window ``[t, t + window_s)``, sliding, not binned."""
    ordered = sorted(times_s)
    peak = first = 0
    for last, at_s in enumerate(ordered):
        while ordered[first] <= at_s - window_s:
            first += 1
        peak = max(peak, last - first + 1)
    return peak


def counts_at_end(changes: Iterable[StreamChange]) -> dict[str, int]:
    """Streams per pod after all changes; pods that once had one stay in, with 0."""
    counts: dict[str, int] = {}
    for change in changes:
        counts[change.pod] = counts.get(change.pod, 0) + change.delta
    return counts


def balance(counts: Mapping[str, int], pods: Collection[str]) -> tuple[float, float] | None:
    """``(max / mean, min / mean)`` over `pods`, an absent one holding 0; ``None`` if all do."""
    held = [counts.get(pod, 0) for pod in pods]
    total = sum(held)
    if total <= 0:
        return None
    mean = total / len(held)
    return max(held) / mean, min(held) / mean


def transient(
    changes: Sequence[StreamChange], pods: Collection[str], target: float
) -> float | None:
    """The fullest any of `pods` ever was, over `target` streams per pod; ``None`` if none held.

    Changes at the same moment count together, so that a swap is no peak.
    """
    counts = dict.fromkeys(pods, 0)
    highest = 0
    for index, change in enumerate(changes):
        if change.pod not in counts:
            continue
        counts[change.pod] += change.delta
        is_last_now = index + 1 == len(changes) or changes[index + 1].at_s > change.at_s
        if is_last_now or change.delta < 0:
            highest = max(highest, counts[change.pod])
    return highest / target if highest and target > 0 else None


def last_empty_s(changes: Sequence[StreamChange], pods: Collection[str]) -> float | None:
    """When the last stream on any of `pods` ended; ``None`` while one is still open or none was."""
    open_now = 0
    emptied_s: float | None = None
    for change in changes:
        if change.pod in pods:
            open_now += change.delta
            emptied_s = change.at_s if open_now == 0 else None
    return emptied_s


def batches(pods: int, max_surge: int, max_unavailable: int) -> int:
    """How many batches a rolling update of `pods` takes: ceil(k / (surge + unavailable))."""
    return math.ceil(pods / max(1, max_surge + max_unavailable))


def limit_s(batch_count: int, batch_s: float, clients: int, budget_per_s: float) -> float:
    """The least time a rollout with this budget can take, in seconds.

    ``max(B * S + N / (B * r), S + N / r)``: either the batches follow each other and only the last
    drain stands at the end, or moving all clients at rate r after the first batch takes longer.
    `batch_s` (S) is the stock rollout's measured time per batch.
    """
    return max(
        batch_count * batch_s + clients / (batch_count * budget_per_s),
        batch_s + clients / budget_per_s,
    )
