"""How a pod drains: the settings of `tidegate.drain.drain.Drain`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["even", "fixed", "cut", "off"]
MODES: tuple[Mode, ...] = ("even", "fixed", "cut", "off")


@dataclass(frozen=True, slots=True)
class DrainSettings:
    """How this pod lets go. All durations in seconds.

    `grace_s` is the pod's termination grace period; preStop ends by ``grace_s - reserve_s``.
    `linger_s` is the least preStop lasts, so that the last router forgets the pod before it dies.
    `back_loaded` starts the pod's own plan in the middle of the window: by then fewer old pods are
    open, so fewer clients move twice (simulated with 5 pods and a grace of 60 s: 1.00 moves per
    client, starting at once 1.08; with 10 pods and 120 s 1.02 and 1.14). `local_window_s` is for
    nodes that leave early (spot): the plan starts at once and takes no longer than that.
    `operator`: whether one is configured. `retry_ms` is a goodbye's `retry:` under the pod's
    own plan; `accept_rate_per_s` and `spread_max_s` bound how returns are spread where time is
    short.
    """

    mode: Mode = "even"
    grace_s: float = 30.0
    reserve_s: float = 5.0
    linger_s: float = 5.0
    local_window_s: float | None = None
    back_loaded: bool = True
    operator: bool = False
    retry_ms: int = 1000
    accept_rate_per_s: float = 1000.0
    spread_max_s: float = 10.0
    shutdown_retry_ms: int = 5000
    prestop_sleep_s: float = 0.0
    stop_window_s: float = 1.0
    stop_limit_s: float = 1.5

    @property
    def window_s(self) -> float:
        """How long after preStop the hook ends at the latest."""
        return max(0.0, self.grace_s - self.reserve_s)
