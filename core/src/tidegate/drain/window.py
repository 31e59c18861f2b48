"""The time between preStop and the end of the grace period, and the moments in it.

The window is what Kubernetes leaves a pod for letting its streams go: from the hook's call to the
end of the grace period, less the application's reserve. An operator's deadline can only shorten it.
Times are in seconds on the caller's clock.
"""

from __future__ import annotations

from tidegate.contract.drain_settings import DrainSettings
from tidegate.contract.report import PLAN_WAIT_S

LAST_CALL_S = 5.0
"""The end of the window (at most a quarter of it) in which no plan holds streams back."""


class Window:
    """Begins with preStop at `prestop_at`; every stream must be gone by `end_at`."""

    def __init__(
        self, settings: DrainSettings, accept_rate_per_s: float, prestop_at: float
    ) -> None:
        self.prestop_at = prestop_at
        self.end_at = prestop_at + settings.window_s
        self._settings = settings
        self._accept_rate_per_s = accept_rate_per_s

    def shorten(self, end_at: float) -> None:
        """End at `end_at`, unless it ends earlier."""
        self.end_at = min(self.end_at, end_at)

    def hook_done(self, now: float, *, empty: bool) -> bool:
        """Whether preStop may answer: `empty` and lingered long enough, or no time left."""
        waited_s = now - self.prestop_at
        settings = self._settings
        if settings.mode == "cut":
            return waited_s >= settings.prestop_sleep_s
        return (empty and waited_s >= settings.linger_s) or waited_s >= settings.window_s

    def hook_at(self, now: float) -> float | None:
        """The next moment at which `hook_done` may change by time alone."""
        settings = self._settings
        waits_s = [settings.linger_s, settings.window_s]
        if settings.mode == "cut":
            waits_s = [settings.prestop_sleep_s]
        times = (self.prestop_at + wait_s for wait_s in waits_s)
        return min((at for at in times if at > now), default=None)

    def last_call_at(self, streams: int) -> float:
        """From when on no plan may hold back `streams`, for the rest of the window is needed."""
        length_s = max(0.0, self.end_at - self.prestop_at)
        needed_s = min(length_s, streams / self._accept_rate_per_s)
        return self.end_at - max(needed_s, min(LAST_CALL_S, length_s / 4))

    def local_start_at(self, *, operator: bool, back_loaded: bool) -> float:
        """When the pod's own plan begins (see `Drain`)."""
        at = self.prestop_at + (PLAN_WAIT_S if operator else 0.0)
        if back_loaded and self._settings.local_window_s is None:
            at = max(at, (self.prestop_at + self.end_at) / 2)
        # A window too short to wait in is used from its beginning.
        return min(at, self.last_call_at(0))
