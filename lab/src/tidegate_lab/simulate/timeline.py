"""Virtual time: a heap of things to do, and a clock that jumps from one to the next."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Timeline:
    """Runs callbacks in time order; those of the same moment in the order they were asked for."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, when_s: float, do: Callable[[], None]) -> None:
        """Do something at `when_s`; now, where that has passed."""
        self._count += 1
        heapq.heappush(self._due, (max(when_s, self.now_s), self._count, do))

    def after(self, delay_s: float, do: Callable[[], None]) -> None:
        """Do something `delay_s` from now."""
        self.at(self.now_s + delay_s, do)

    def run(self, until: Callable[[], bool], at_most_s: float) -> None:
        """Go on until `until()` is true, nothing is left, or `at_most_s` has come."""
        while self._due and not until():
            when_s, _, do = heapq.heappop(self._due)
            if when_s > at_most_s:
                return
            self.now_s = when_s
            do()
