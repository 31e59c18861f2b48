"""A Service as kube-proxy routes it: a random choice over the endpoints it knows of, known late.

A change of an endpoint reaches the router between 0 and `lag_s` later, and a sync takes up the
whole state of that moment (kube-proxy rewrites all rules at most once a second), so a later
change may ride on an earlier one's sync and the known set is always one that has existed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from tidegate_lab.simulate.pods import SimulatedPod
from tidegate_lab.simulate.timeline import Timeline


class Service:
    """Two ways in over the same pods: by the admit label, and for strays without it."""

    def __init__(
        self,
        timeline: Timeline,
        rng: random.Random,
        lag_s: float,
        pods: Callable[[], Iterable[SimulatedPod]],
    ) -> None:
        self._timeline = timeline
        self._rng = rng
        self._lag_s = lag_s
        self._pods = pods
        self._known: list[SimulatedPod] = []
        self._all_ready: list[SimulatedPod] = []

    def changed(self) -> None:
        """Some pod's readiness, deletion or label has changed."""
        if self._lag_s <= 0.0:
            self.sync()
        else:
            self._timeline.after(self._rng.uniform(0.0, self._lag_s), self.sync)

    def sync(self) -> None:
        """Take up the state of the endpoints as it is now."""
        self._all_ready = [p for p in self._pods() if p.in_endpoints]
        self._known = [p for p in self._all_ready if p.admitted]

    def choose(self, *, stray: bool) -> SimulatedPod | None:
        """The pod for a new connection; ``None``: no endpoint, the connection is refused."""
        pods = self._all_ready if stray else self._known
        return self._rng.choice(pods) if pods else None
