"""What one measured rollout is made of: the fleet, the clients, the events, the budget."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tidegate.score.observe import CALM_S, QUIET_S
from tidegate_lab.fleet.settings import FleetSettings

ROLLOUT_SLACK_S = 60.0


@dataclass(frozen=True, slots=True)
class RolloutSettings:
    """The rollout and its clients. `rate_per_s` is published events per second.

    `port` is the front door's for browsers and curl, 0 any. `calm_s` and `quiet_s` are the
    scorecard's, shorter only in tests.
    """

    fleet: FleetSettings = field(default_factory=FleetSettings)
    clients: int = 1000
    handover_share: float = 0.10
    rate_per_s: float = 20.0
    budget_per_s: float = 80.0
    seed: int = 1
    port: int = 0
    calm_s: float = CALM_S
    quiet_s: float = QUIET_S

    @property
    def most_connections(self) -> int:
        """What the load process may hold at once: a client that hands over has two for a while."""
        return self.clients + math.ceil(self.clients * self.handover_share)

    @property
    def longest_s(self) -> float:
        """Beyond this a rollout is stuck: every batch at its slowest, and all clients moved."""
        fleet = self.fleet
        per_pod_s = fleet.ready_delay_s + fleet.min_ready_s + fleet.grace_s
        return fleet.pods * per_pod_s + self.clients / self.budget_per_s + ROLLOUT_SLACK_S
