"""The settings of a pod's drain, each declared once (`contract.settings`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from tidegate.contract.kinds import choice, integer, number, or_empty
from tidegate.contract.settings import DAY_S, HOUR_MS, Problem, setting

DrainMode = Literal["even", "fixed", "cut", "off"]
DRAIN_MODES: Final[tuple[DrainMode, ...]] = ("even", "fixed", "cut", "off")


@dataclass(frozen=True, slots=True)
class DrainSettings:
    """How this pod lets its streams go."""

    mode: DrainMode = setting(
        "even",
        choice(*DRAIN_MODES),
        "even: one at a time; fixed: goodbye to all at once; cut: end all at SIGTERM; off: none.",
        name="drain",
        annotation=True,
    )
    grace_s: float = setting(
        "30",
        number(1, DAY_S, "seconds"),
        "The pod's terminationGracePeriodSeconds.",
        annotation={
            "default": "",
            "kind": integer(2, DAY_S, "seconds"),
            "help": "Sets terminationGracePeriodSeconds; empty: the pod's own stays.",
        },
    )
    reserve_s: float = setting(
        "5",
        number(0, DAY_S, "seconds"),
        "End of the grace period kept for the application: its stop time + 2 s.",
        annotation={"default": ""},
    )
    linger_s: float = setting(
        "5",
        number(0, 600, "seconds"),
        "The least preStop lasts, so that the last router has forgotten the pod; more behind "
        "cloud load balancers.",
        annotation=True,
    )
    local_window_s: float | None = setting(
        "",
        or_empty(number(1, DAY_S, "seconds"), "the second half of grace - reserve"),
        "The pod's own plan starts at once and takes this long, for nodes that leave early (spot).",
        annotation=True,
    )
    prestop_sleep_s: float = setting(
        "0",
        number(0, 600, "seconds"),
        "How long preStop sleeps with drain=cut.",
        annotation=True,
    )
    shutdown_retry_ms: int = setting(
        "5000",
        integer(1, HOUR_MS, "milliseconds"),
        "The `retry:` of a goodbye with drain=fixed.",
        annotation=True,
    )

    @classmethod
    def usual_reserve_s(cls, grace_s: float) -> float:
        """The reserve of a pod that names none: at most half of its grace period."""
        return min(cls().reserve_s, grace_s / 2)

    @property
    def window_s(self) -> float:
        """How long after preStop the hook ends at the latest."""
        return max(0.0, self.grace_s - self.reserve_s)

    def problems(self) -> Iterator[Problem]:
        """Times that do not fit into the grace period."""
        less = f"must be less than {{}}, which is {self.grace_s:g}"
        if self.reserve_s >= self.grace_s:
            yield Problem("reserve_s", less, ("grace_s",))
        if self.mode == "cut" and self.prestop_sleep_s >= self.grace_s:
            yield Problem("prestop_sleep_s", less, ("grace_s",))
