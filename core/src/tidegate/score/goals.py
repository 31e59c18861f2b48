"""What a good rollout must reach, as a table, and the judgement over it.

A figure that was not measured misses its goal: silence is no success. Only the goals that compare
with the stock run are left out when there was none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tidegate.contract.names import MODE_STOCK
from tidegate.score.scorecard import Run, Scorecard

Comparison = Literal["==", "<=", ">="]

FAIR_PEAK_OVER_BUDGET = 4.0
"""A stock rollout whose peak is below this many budgets is no fair comparison."""


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure of the scorecard, how it compares, and the bound."""

    key: str
    comparison: Comparison
    bound: float
    needs_stock: bool = False

    def is_met(self, scorecard: Scorecard) -> bool:
        """Whether the figure was measured and keeps the bound."""
        figure = scorecard.figure(self.key)
        if figure is None:
            return False
        if self.comparison == "==":
            return figure == self.bound
        return figure <= self.bound if self.comparison == "<=" else figure >= self.bound

    def __str__(self) -> str:
        """As a person reads it: ``lost == 0``."""
        return f"{self.key} {self.comparison} {self.bound:g}"


DEMO_GOALS = (
    Goal("lost", "==", 0),
    Goal("duplicated", "==", 0),
    Goal("cut_without_goodbye", "==", 0),
    Goal("failed_connects", "==", 0),
    Goal("non_200", "==", 0),
    Goal("clients_dead", "==", 0),
    Goal("moves_per_client", "<=", 1.05),
    Goal("balance_max_over_mean", "<=", 1.10),
    Goal("balance_min_over_mean", ">=", 0.88),
    Goal("peak_over_budget", "<=", 1.2),
    Goal("rollout_over_limit", "<=", 1.25, needs_stock=True),
)

SIMULATION_GOALS = (
    Goal("moves_per_client", "<=", 1.02),
    Goal("balance_max_over_mean", "<=", 1.03),
    Goal("balance_min_over_mean", ">=", 0.96),
    Goal("transient_max_over_mean", "<=", 1.05),
    Goal("peak_over_budget", "<=", 1.10),
    Goal("rollout_over_limit", "<=", 1.10, needs_stock=True),
)


@dataclass(frozen=True, slots=True)
class Miss:
    """A goal that was not reached, with the figure that missed it (``None``: not measured)."""

    goal: Goal
    figure: float | None

    def __str__(self) -> str:
        """One line with the goal and the measured value."""
        measured = "not measured" if self.figure is None else f"{self.figure:.4g}"
        return f"{self.goal}: {measured}"


def judge(scorecard: Scorecard, goals: Sequence[Goal], with_stock: bool = True) -> list[Miss]:
    """The goals this scorecard misses. `with_stock`: whether a stock run stands beside it."""
    return [
        Miss(goal, scorecard.figure(goal.key))
        for goal in goals
        if (with_stock or not goal.needs_stock) and not goal.is_met(scorecard)
    ]


def unfairness(runs: Sequence[Run]) -> str | None:
    """Why the comparison proves nothing, or ``None``: stock's peak must be 4 budgets or more."""
    for run in runs:
        peak = run.scorecard.peak_over_budget
        if run.mode == MODE_STOCK and (peak is None or peak < FAIR_PEAK_OVER_BUDGET):
            measured = "unknown" if peak is None else f"{peak:.2g} budgets"
            return (
                f"stock's peak is {measured}, below {FAIR_PEAK_OVER_BUDGET:g}: "
                "this comparison is unfair to stock; lower --budget or take more clients"
            )
    return None
