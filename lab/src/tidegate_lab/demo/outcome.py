"""The judgement over the runs: which goals were missed, and the exit status that follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.contract.names import MODE_STOCK, MODE_TIDEGATE
from tidegate.score.goals import DEMO_GOALS, Miss, judge, unfairness
from tidegate.score.scorecard import Run


@dataclass(frozen=True, slots=True)
class Outcome:
    """`misses` are of the tidegate run; `judged` is false where there was none."""

    runs: tuple[Run, ...]
    misses: tuple[Miss, ...]
    unfair: str | None
    judged: bool

    @property
    def status(self) -> int:
        """0 only if a tidegate run met every goal and the comparison was fair."""
        return 0 if self.judged and not self.misses and self.unfair is None else 1

    def verdict(self) -> list[str]:
        """The verdict, a line each."""
        if not self.judged:
            return ["No tidegate run, so no goal was judged."]
        lines = [f"Goal missed: {miss}" for miss in self.misses]
        if self.unfair is not None:
            lines.append(f"No proof: {self.unfair}")
        return lines or ["Every goal is met."]


def conclude(runs: Sequence[Run]) -> Outcome:
    """Judge the tidegate run by the demo's goals, beside stock where there is one."""
    stock = any(run.mode == MODE_STOCK for run in runs)
    tidegate = next((run for run in runs if run.mode == MODE_TIDEGATE), None)
    misses = [] if tidegate is None else judge(tidegate.scorecard, DEMO_GOALS, stock)
    return Outcome(tuple(runs), tuple(misses), unfairness(runs), tidegate is not None)
