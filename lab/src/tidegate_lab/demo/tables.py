"""The scorecards side by side, with the goals, for a terminal."""

from __future__ import annotations

from rich.table import Table

from tidegate.contract.names import MODE_TIDEGATE
from tidegate.score.goals import DEMO_GOALS
from tidegate.score.scorecard import SCORECARD_KEYS, Run
from tidegate_lab.demo.outcome import Outcome


def scorecards(outcome: Outcome) -> Table:
    """One row per figure, one column per run; a missed goal is red, one met green."""
    table = Table(title="What the rolling update did to the clients")
    table.add_column("figure")
    for run in outcome.runs:
        table.add_column(run.mode, justify="right")
    table.add_column("goal")
    goals = {goal.key: goal for goal in DEMO_GOALS}
    missed = {miss.goal.key for miss in outcome.misses}
    for key in SCORECARD_KEYS:
        goal = goals.get(key)
        colour = "" if goal is None else "red" if key in missed else "green"
        cells = [_cell(run, key, colour) for run in outcome.runs]
        table.add_row(key, *cells, "" if goal is None else f"{goal.comparison} {goal.bound:g}")
    return table


def figure_text(value: float | None) -> str:
    """A figure as people read it; a dash where it was not measured."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.3f}".rstrip("0").rstrip(".")


def _cell(run: Run, key: str, colour: str) -> str:
    text = figure_text(run.scorecard.figure(key))
    return f"[{colour}]{text}[/]" if colour and run.mode == MODE_TIDEGATE else text
