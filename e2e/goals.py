"""What a rollout on a real cluster must reach, and how its scorecard is printed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median_high
from typing import Any

from tidegate.contract.names import MODE_STOCK
from tidegate.score.goals import Goal, judge, unfairness
from tidegate.score.scorecard import Run, document

REPORTS = Path(__file__).parent.parent / "reports" / "e2e"

UNHARMED = (
    Goal("lost", "==", 0),
    Goal("duplicated", "==", 0),
    Goal("clients_dead", "==", 0),
    Goal("non_200", "==", 0),
)
"""Holds whatever happens."""

SMOOTH = (
    *UNHARMED,
    Goal("cut_without_goodbye", "==", 0),
    Goal("failed_connects", "==", 0),
)
"""Holds as long as nobody is killed."""

_SHAPE = (
    Goal("balance_max_over_mean", "<=", 1.06),
    Goal("balance_min_over_mean", ">=", 0.93),
    Goal("peak_over_budget", "<=", 1.15),
    Goal("rollout_over_limit", "<=", 1.25, needs_stock=True),
)

ONE_BY_ONE = (*SMOOTH, Goal("moves_per_client", "<=", 1.03), *_SHAPE)
"""Surge 1, unavailable 0, minReadySeconds 5."""

ALL_AT_ONCE = (*SMOOTH, Goal("moves_per_client", "<=", 1.05), *_SHAPE)
"""The Deployment's default strategy and minReadySeconds 0."""

ROLLBACK = (
    *SMOOTH,
    Goal("balance_max_over_mean", "<=", 1.10),
    Goal("balance_min_over_mean", ">=", 0.88),
)
"""A rollback moves some clients twice; the rebalance repairs the balance."""

EVEN = (
    Goal("balance_max_over_mean", "<=", 1.06),
    Goal("balance_min_over_mean", ">=", 0.93),
)
"""As even as a rolling update must end."""

RESIZED = (*SMOOTH, *EVEN, Goal("peak_over_budget", "<=", 1.2))
"""Scaled, paused, beside a canary: as even as a rolling update, and as slow as the demo asks."""


def moves_at_most(share: float) -> tuple[Goal, ...]:
    """At most `share` moves per client, and next to nobody twice (one in fifty, by a late flip)."""
    return (Goal("moves_per_client", "<=", share), Goal("moved_twice_share", "<=", 0.02))


def show(title: str, runs: Sequence[Run]) -> None:
    """Print the scorecards, as every test does, and keep them in ``reports/e2e``."""
    text = json.dumps(document(runs), indent=2)
    print(f"\n{title}\n{text}", flush=True)
    REPORTS.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^0-9a-z]+", "-", title.lower()).strip("-")
    (REPORTS / f"{name}.json").write_text(text + "\n")


TIMED = ("peak_over_budget", "rollout_over_limit")
"""Figures of which one run measures the machine as much: a stall of 150 ms brings the busiest
second six more returns, and half a second until a container starts is 3 % of a rollout."""


def missed_in(runs: Sequence[Run], goals: Sequence[Goal]) -> list[str]:
    """The goals that runs of the same rollout miss, the stock runs among `runs` first.

    Every run must meet all but the `TIMED` ones; of those the median of all runs decides.
    """
    stock = [run for run in runs if run.mode.startswith(MODE_STOCK)]
    rest = [run for run in runs if run not in stock]
    counted = [goal for goal in goals if goal.key not in TIMED]
    found = [miss for run in rest for miss in missed([*stock, run], counted)]
    middle: dict[str, Any] = {key: median_high(_figures(rest, key)) for key in TIMED}
    typical = replace(rest[0], scorecard=replace(rest[0].scorecard, **middle))
    timed = [goal for goal in goals if goal.key in TIMED]
    return [*found, *missed([*stock, typical], timed)]


def _figures(runs: Sequence[Run], key: str) -> list[float]:
    """One figure of each run; one that is missing is worse than any other."""
    found = (run.scorecard.figure(key) for run in runs)
    return [math.inf if figure is None else figure for figure in found]


def missed(runs: Sequence[Run], goals: Sequence[Goal]) -> list[str]:
    """The goals that the last of the runs misses, as sentences; also an unfair comparison."""
    with_stock = any(run.mode == MODE_STOCK for run in runs)
    misses = [str(miss) for miss in judge(runs[-1].scorecard, goals, with_stock)]
    unfair = unfairness(runs)
    return misses if unfair is None else [*misses, unfair]
