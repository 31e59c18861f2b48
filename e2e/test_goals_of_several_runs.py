"""Runs of the same rollout are judged together: times by their median, all else one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from e2e.goals import ALL_AT_ONCE, missed_in
from tidegate.contract.names import MODE_STOCK, MODE_TIDEGATE
from tidegate.score.scorecard import Run, Scorecard

STOCK = Run(
    MODE_STOCK, "cluster", 5, 500, 40.0, Scorecard(rollout_over_limit=0.5, peak_over_budget=9.0)
)
GOOD = Run(
    MODE_TIDEGATE,
    "cluster",
    5,
    500,
    40.0,
    Scorecard(
        lost=0,
        duplicated=0,
        clients_dead=0,
        non_200=0,
        cut_without_goodbye=0,
        failed_connects=0,
        moves_per_client=1.0,
        balance_max_over_mean=1.02,
        balance_min_over_mean=0.98,
        peak_over_budget=1.1,
        rollout_over_limit=1.1,
    ),
)


def but(**figures: Any) -> Run:
    """The good run with other figures."""
    return replace(GOOD, scorecard=replace(GOOD.scorecard, **figures))


def test_one_of_three_may_have_been_slow() -> None:
    """Once is the machine."""
    assert missed_in([STOCK, GOOD, but(rollout_over_limit=1.4), GOOD], ALL_AT_ONCE) == []


@pytest.mark.parametrize("figure", ["rollout_over_limit", "peak_over_budget"])
@pytest.mark.parametrize("value", [1.4, None])
def test_two_of_three_may_not(figure: str, value: float | None) -> None:
    """Twice is the planner; a figure that is missing counts as missed."""
    slow = but(**{figure: value})
    (miss,) = missed_in([STOCK, slow, GOOD, slow], ALL_AT_ONCE)
    assert figure in miss


def test_of_two_the_worse_one_counts() -> None:
    """There is no middle one."""
    assert missed_in([STOCK, GOOD, but(peak_over_budget=1.3)], ALL_AT_ONCE) != []


def test_what_is_counted_must_hold_each_time() -> None:
    """A lost event is lost, however often none is."""
    (miss,) = missed_in([STOCK, GOOD, GOOD, but(lost=1)], ALL_AT_ONCE)
    assert "lost" in miss
