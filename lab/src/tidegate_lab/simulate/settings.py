"""What a simulated rollout is made of; every duration in seconds, every rate per second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Strategy = Literal["RollingUpdate", "StatefulSet", "Recreate"]
STRATEGIES: tuple[Strategy, ...] = ("RollingUpdate", "StatefulSet", "Recreate")
"""How the pods are replaced: by a Deployment with surge, or in place."""

Policy = Literal["stock", "stock+sleep", "local", "tidegate"]
POLICIES: tuple[Policy, ...] = ("stock", "stock+sleep", "local", "tidegate")

STOCK_RETRY_S = 3.0
"""How long a browser's EventSource waits when no `retry:` was sent (Chromium, WebKit)."""

STOCK_SLEEP_S = 5.0
"""The usual advice: ``preStop: sleep 5``."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One rollout.

    `ready_delay_s` from a pod's creation to ready, `min_ready_s` from there to available. `lag_s`
    bounds how late a router takes up an endpoint change (uniform from 0). `skew` is the sigma of
    a log-normal load per old pod (0: even chance; 0.4: max/mean about 1.8). `strays` is the share
    of clients that connect past the admit label. `rate_per_s` counts events of the log, each
    for every client. `reserve_s` is the injector's for `grace_s` unless given. The operator
    is away for `away_s`, beginning `away_from_s` after the rollout; then another one, that
    remembers nothing, gets each pod's first report within `heard_within_s`. Same settings, same
    result.
    """

    pods: int = 10
    clients: int = 10_000
    policy: Policy = "tidegate"
    budget_per_s: float = 100.0
    strategy: Strategy = "RollingUpdate"
    max_surge: int = 1
    max_unavailable: int = 0
    ready_delay_s: float = 10.0
    min_ready_s: float = 0.0
    grace_s: float = 120.0
    reserve_s: float | None = None
    linger_s: float = 5.0
    lag_s: float = 1.1
    skew: float = 0.0
    strays: float = 0.0
    seed: int = 1
    rate_per_s: float = 20.0
    retry_ms: int = 100
    back_loaded: bool = True
    forget_every_time: bool = False
    away_from_s: float = 0.0
    away_s: float = 0.0
    heard_within_s: float = 3.0

    @property
    def at_most_s(self) -> float:
        """When to give up: every pod in turn has taken its whole time, and an hour more."""
        step_s = self.ready_delay_s + self.min_ready_s + self.grace_s + self.lag_s
        return self.pods * step_s + 3600.0

    @property
    def steered(self) -> bool:
        """Whether an operator takes part."""
        return self.policy == "tidegate"
