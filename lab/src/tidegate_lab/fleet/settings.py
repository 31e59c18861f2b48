"""How a local workload is shaped and how its sidecars are set, per mode of comparison."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.contract.names import MODE_STOCK, MODE_STOCK_SLEEP, MODE_TIDEGATE
from tidegate.contract.sidecar import env

STOCK_SLEEP_S = 5.0
"""The usual advice: a preStop sleep of five seconds."""

WITHOUT = ("steering", "drain", "replay")
"""Parts of Tidegate that can be left out, to show that the goals notice."""


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """A Deployment and its pods. Durations in seconds, as in the pod template.

    `ready_delay_s` is the least time from start to Ready, `min_ready_s` minReadySeconds, `grace_s`
    terminationGracePeriodSeconds. `without` names parts of Tidegate that are left out.
    """

    pods: int = 5
    max_surge: int = 1
    max_unavailable: int = 0
    ready_delay_s: float = 1.0
    min_ready_s: float = 4.0
    grace_s: float = 60.0
    mode: str = MODE_TIDEGATE
    without: frozenset[str] = frozenset()


def sidecar_environment(settings: FleetSettings, operator_url: str | None) -> dict[str, str]:
    """The sidecar's variables that this mode asks for.

    Stock is the same sidecar with replay on that ends every stream without a goodbye at SIGTERM and
    assigns no `retry:`, so clients come back after their own 3 s.
    """
    variables = {env("grace_s"): f"{settings.grace_s:g}", env("log_level"): "warning"}
    if "replay" in settings.without:
        variables[env("replay")] = "off"
    if settings.mode in (MODE_STOCK, MODE_STOCK_SLEEP):
        variables[env("drain")] = "cut"
        variables[env("retry")] = "off"
        if settings.mode == MODE_STOCK_SLEEP:
            variables[env("prestop_sleep_s")] = f"{STOCK_SLEEP_S:g}"
        return variables
    if operator_url is not None:
        variables[env("operator_url")] = operator_url
    if "drain" in settings.without:
        variables[env("drain")] = "cut"
    return variables
