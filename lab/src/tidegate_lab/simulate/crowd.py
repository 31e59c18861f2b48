"""A crowd that joins: clients that come by themselves a few seconds after the pods are ready.

No rollout takes part. Something happens to the fleet first, so that the planner has a reason to
even it out; then the crowd comes, and the planner must leave it alone.
"""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from tidegate_lab.simulate.clients import Clients
from tidegate_lab.simulate.fleet import SimulatedFleet
from tidegate_lab.simulate.pods import SimulatedPod
from tidegate_lab.simulate.settings import Settings
from tidegate_lab.simulate.timeline import Timeline

Before = Literal["deploy", "crash", "node loss", "scale-out"]

CALM_S = 15.0
SLOW_START_S = 0.2


@dataclass(frozen=True, slots=True)
class CrowdSettings:
    """`per_s` of the clients come each second, `after_s` after the pods of `before` are ready.

    `there` is the share of them that has streams already when it happens.
    """

    before: Before
    per_s: float
    fleet: Settings
    after_s: float = 1.0
    there: float = 0.0


@dataclass(frozen=True, slots=True)
class CrowdOutcome:
    """`moves` are streams that the planner moved. Over its share in the end (N/k):
    `fullest_over_mean` is the most that one pod has held at any time, `ends_over_mean` what the
    fullest holds then.
    """

    moves: int
    fullest_over_mean: float
    ends_over_mean: float
    connected: int


def simulate_crowd(settings: CrowdSettings) -> CrowdOutcome:
    """One run; the same settings give the same outcome."""
    run = _Crowd(settings)
    return run.outcome()


class _Crowd:
    def __init__(self, settings: CrowdSettings) -> None:
        self._settings = settings
        fleet = settings.fleet
        self._timeline = Timeline()
        rng = random.Random(fleet.seed)
        first = {"deploy": 0, "scale-out": max(1, fleet.pods // 2)}.get(settings.before, fleet.pods)
        self.fleet = SimulatedFleet(replace(fleet, pods=first), self._timeline, rng, self._released)
        self.clients = Clients(fleet, self._timeline, rng, self.fleet.service)
        self.moved = 0
        there = round(settings.there * fleet.clients)
        for client in range(there):
            self.clients.place(client, self.fleet.pods[client % len(self.fleet.pods)])
        self.fleet.changed()
        happens_s = CALM_S
        self._timeline.at(happens_s, self._happens)
        begins_s = happens_s + fleet.ready_delay_s + settings.after_s
        for number, client in enumerate(range(there, fleet.clients)):
            self._timeline.at(
                begins_s + number / settings.per_s, partial(self.clients.join, client)
            )
        self._timeline.run(lambda: False, begins_s + fleet.clients / settings.per_s + 3 * CALM_S)

    def _released(self, pod: SimulatedPod, client: int, retry_s: float | None) -> None:
        self.moved += retry_s is not None
        self.clients.released(pod, client, retry_s)
        self.fleet.changed()

    def _happens(self) -> None:
        match self._settings.before:
            case "deploy" | "scale-out":
                # A controller creates the first one and then ever more of them (slow start).
                self.fleet.scale(self.fleet.replicas + 1)
                everyone = self._settings.fleet.pods
                self._timeline.after(SLOW_START_S, partial(self.fleet.scale, everyone))
            case "crash":
                self.fleet.crash(self.fleet.pods[-1])
            case "node loss":
                self.fleet.lose_node(self.fleet.pods[-1])

    def outcome(self) -> CrowdOutcome:
        held: dict[str, int] = defaultdict(int)
        fullest = 0
        for change in self.clients.changes:
            held[change.pod] += change.delta
            fullest = max(fullest, held[change.pod])
        mean = self._settings.fleet.clients / self._settings.fleet.pods
        ends = max(held.values()) / mean
        return CrowdOutcome(self.moved, fullest / mean, ends, self.clients.connected)
