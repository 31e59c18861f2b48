"""Pods that hold streams and have not reported: unknown is not zero.

After a take-over the operator knows every pod by its object and none by its load; the sidecars
report within seconds. Counted as empty, a full pod would be the first to be opened, and N too small
by all that it holds. So labels stay as they are and drains wait until each pod has reported, for
`WAIT_S` at most. From then on a silent pod is taken to hold its share, enough not to be opened; one
that is deleted has lost its sidecar, and with it its streams.

A pod that was seen starting is empty, until it has been ready in silence for a while.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tidegate.rollout.snapshot import Pod

WAIT_S = 5.0
"""How long plans wait for reports: sidecars report within 3 s of a take-over."""

BORN_EMPTY_S = 3.0
"""How long a pod that was seen starting is taken for empty once it is ready."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Pods without a report: `starting` have been seen before they were ready, `since_s` is when
    each of the others, and of those once ready, was first seen (the planner's `now`).
    """

    starting: frozenset[str] = frozenset()
    since_s: Mapping[str, float] = field(default_factory=dict)

    def seen(self, pods: Sequence[Pod], now: float) -> Silence:
        """What one more look shows."""
        silent = [p for p in pods if p.report is None]
        if not silent:
            return NO_SILENCE
        held = {p.uid for p in silent if p.ready or p.deleting}
        starting = {p.uid for p in silent} - held
        return Silence(
            frozenset(starting | (self.starting & held)),
            {uid: self.since_s.get(uid, now) for uid in sorted(held)},
        )

    def unknown(self, now: float) -> frozenset[str]:
        """The pods that may hold any number of streams."""
        if not self.since_s:
            return frozenset()
        return frozenset(
            uid
            for uid, since_s in self.since_s.items()
            if uid not in self.starting or now - since_s >= BORN_EMPTY_S
        )

    def awaited(self, now: float) -> frozenset[str]:
        """Those of them whose report is worth waiting for."""
        return frozenset(u for u in self.unknown(now) if now - self.since_s[u] < WAIT_S)


NO_SILENCE = Silence()
