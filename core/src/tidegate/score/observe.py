"""From what was seen to the scorecard.

A run of a rollout (in virtual time, on this machine, on a cluster) collects `Observations`;
`score` turns them into figures, and `compare` adds the one ratio that needs the stock run.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from tidegate.contract.names import MODE_STOCK
from tidegate.score.deliveries import Deliveries
from tidegate.score.measures import (
    StreamChange,
    balance,
    batches,
    counts_at_end,
    last_empty_s,
    limit_s,
    peak_in_window,
    percentile,
    transient,
)
from tidegate.score.scorecard import Run, Scorecard

QUIET_S = 8.0
"""Counting goes on until every client is back and nothing has moved for this long ..."""

QUIET_AT_MOST_S = 30.0
"""... and, once every client is back, at most this long after the last old pod is gone."""

BACK_AT_MOST_S = 120.0
"""A client that is not back this long after the last old pod is gone is counted as missing."""

CALM_S = 5.0
"""The latency of a rollout is compared with this much calm before it."""


@dataclass(frozen=True, slots=True)
class Observations:
    """What was seen of one rollout, raw. Times in seconds on one clock, changes in time order.

    `moves` counts reconnects per client and has one entry for each; `arrivals_s` is when each of
    those moves had its `connected`. `stream_changes` starts with the first fleet's first stream.
    `live_pods` exist at the end, `new_pods` are of the new revision. ``None`` is not measured.
    """

    pods: int
    clients: int
    budget_per_s: float
    started_s: float
    moves: Sequence[int]
    arrivals_s: Sequence[float]
    stream_changes: Sequence[StreamChange]
    live_pods: Collection[str]
    new_pods: Collection[str]
    attempts: int | None = None
    bounced: int | None = None
    cut_without_goodbye: int | None = None
    failed_connects: int | None = None
    non_200: int | None = None
    clients_dead: int | None = None
    offline_s: Sequence[float] | None = None
    calm_latency_p99_s: float | None = None
    rollout_latency_p99_s: float | None = None
    deliveries: Deliveries | None = None


def is_over(
    now_s: float, over_s: float, stirred_s: float, *, all_back: bool, quiet_s: float = QUIET_S
) -> bool:
    """Whether counting may stop. Times are seconds on one clock.

    `over_s` is when the last old pod had gone and the new ones served, `stirred_s` when a stream
    last opened or ended, `all_back` whether every client has a stream now. Silence alone is no
    end: clients that wait for their `retry:`, or for the first pod that is ready, are silent, too.
    """
    if not all_back:
        return now_s - over_s >= BACK_AT_MOST_S
    still = now_s - max(over_s, stirred_s) >= quiet_s
    return still or now_s - over_s >= QUIET_AT_MOST_S


def score(seen: Observations) -> Scorecard:
    """The scorecard of one rollout, without the ratio that needs the stock run (`compare`).

    Where nothing was expected nothing was checked either, so the delivery counts are ``None``.
    """
    counts = counts_at_end(seen.stream_changes)
    live = [pod for pod in seen.live_pods if pod in seen.new_pods]
    even = balance(counts, seen.live_pods)
    old_pods = {change.pod for change in seen.stream_changes} - set(seen.new_pods)
    emptied_s = last_empty_s(seen.stream_changes, old_pods)
    total_moves = sum(seen.moves)
    peak = peak_in_window(seen.arrivals_s)
    checked = seen.deliveries if seen.deliveries and seen.deliveries.expected else None
    return Scorecard(
        deliveries=checked.received if checked else None,
        expected_deliveries=checked.expected if checked else None,
        lost=checked.lost if checked else None,
        duplicated=checked.duplicated if checked else None,
        moves_per_client=total_moves / seen.clients,
        moved_twice_share=sum(moves >= 2 for moves in seen.moves) / seen.clients,
        not_on_new_revision=seen.clients - sum(counts.get(pod, 0) for pod in live),
        balance_max_over_mean=even[0] if even else None,
        balance_min_over_mean=even[1] if even else None,
        transient_max_over_mean=transient(
            seen.stream_changes, seen.new_pods, seen.clients / seen.pods
        ),
        peak_moves_1s=peak,
        peak_over_budget=peak / seen.budget_per_s,
        rollout_s=None if emptied_s is None else emptied_s - seen.started_s,
        attempts_per_move=(
            seen.attempts / total_moves if seen.attempts is not None and total_moves else None
        ),
        bounced=seen.bounced,
        cut_without_goodbye=seen.cut_without_goodbye,
        failed_connects=seen.failed_connects,
        non_200=seen.non_200,
        clients_dead=seen.clients_dead,
        offline_p50_ms=_ms(percentile(seen.offline_s, 0.50) if seen.offline_s else None),
        offline_p99_ms=_ms(percentile(seen.offline_s, 0.99) if seen.offline_s else None),
        added_latency_p99_ms=_added_ms(seen.calm_latency_p99_s, seen.rollout_latency_p99_s),
    )


def compare(runs: Sequence[Run], max_surge: int, max_unavailable: int) -> tuple[Run, ...]:
    """The runs with `rollout_over_limit` filled in, where one of them is stock.

    The limit takes stock's measured time per batch, so it must be of the same fleet and seed.
    """
    stock_s = next((r.scorecard.rollout_s for r in runs if r.mode == MODE_STOCK), None)
    if stock_s is None:
        return tuple(runs)
    return tuple(_with_limit(run, stock_s, max_surge, max_unavailable) for run in runs)


def _with_limit(run: Run, stock_s: float, max_surge: int, max_unavailable: int) -> Run:
    if run.scorecard.rollout_s is None:
        return run
    count = batches(run.pods, max_surge, max_unavailable)
    least_s = limit_s(count, stock_s / count, run.clients, run.budget_per_s)
    ratio = run.scorecard.rollout_s / least_s
    return replace(run, scorecard=replace(run.scorecard, rollout_over_limit=ratio))


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _added_ms(calm_s: float | None, rollout_s: float | None) -> float | None:
    return None if calm_s is None or rollout_s is None else (rollout_s - calm_s) * 1000
