"""Slots: the moments at which streams are let go, one stream each.

A schedule cuts time into cells of equal length, one stream to a cell. It is described by very
little: the *boundary* up to which its cells are used up, and how the next ones are laid.

- *Even*: what is left of the window over the streams that are left, each let go in the middle of
  its cell: stream i of n at ``start + (i + 1/2) W / n``. When n or the end of the window changes,
  only the cells ahead change.
- *Paced*: at a rate, stream i at ``start + i / rate``, compressed when that would miss the end.

A schedule never makes up for much lost time: a process that was stopped for a while would answer
with a burst, which is what slots are there to avoid. Behind by more than `CATCH_UP_S`, an even
schedule recompresses what is left and a paced one is late (up to its end, where all go).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

CATCH_UP_S = 0.025
"""How far behind a schedule may be and still catch up at once. Hides a busy event loop, and adds no
more than this share of a second's slots to the busiest second."""

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Slots:
    """A schedule of single departures.

    `boundary` (seconds on the caller's clock) is where the next cell begins, `end` when all must
    be gone (``None``: no such moment), `rate_per_s` the most that may go per second (``None``: as
    even as the end allows; then `end` must be set). `offset` is where in its cell a stream goes.
    """

    boundary: float
    end: float | None
    rate_per_s: float | None

    @property
    def offset(self) -> float:
        """The middle of the cell for even slots, its beginning for paced ones."""
        return 0.5 if self.rate_per_s is None else 0.0

    def cell_s(self, remaining: int) -> float:
        """The length of a cell when `remaining` streams are to go; ``inf``: they never go."""
        left = math.inf if self.end is None else max(0.0, self.end - self.boundary)
        even = left / remaining if remaining else math.inf
        if self.rate_per_s is None:
            return even
        return min(even, 1.0 / self.rate_per_s if self.rate_per_s > 0 else math.inf)

    def caught_up(self, now: float, remaining: int) -> Slots:
        """The schedule without the cells that were missed by more than `CATCH_UP_S`."""
        cell = self.cell_s(remaining)
        oldest = now - CATCH_UP_S - cell
        if not math.isfinite(cell) or self.boundary >= oldest:
            return self
        return Slots(oldest, self.end, self.rate_per_s)

    def due(self, now: float, remaining: int) -> int:
        """How many of the `remaining` streams should be gone by `now`."""
        if self.end is not None and now >= self.end:
            return remaining
        cell = self.cell_s(remaining)
        behind = now - self.boundary - self.offset * cell if math.isfinite(cell) else -1.0
        if behind < -_ROUNDING:
            return 0
        if cell <= 0:
            return remaining
        return min(remaining, math.floor(behind / cell + _ROUNDING) + 1)

    def after(self, count: int, remaining: int) -> Slots:
        """The schedule once `count` of `remaining` streams have had their slot."""
        if not count:
            return self
        boundary = self.boundary + count * self.cell_s(remaining)
        return Slots(boundary, self.end, self.rate_per_s)

    def next_at(self, remaining: int) -> float | None:
        """When the next of `remaining` streams is let go; ``None``: not foreseen."""
        if not remaining:
            return None
        cell = self.cell_s(remaining)
        return self.boundary + self.offset * cell if math.isfinite(cell) else None
