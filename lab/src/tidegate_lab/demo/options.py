"""The demo's command line: what may be set, its bounds, and the settings made of it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from tidegate.contract.errors import SettingsError
from tidegate.contract.names import MODE_TIDEGATE, MODES
from tidegate_lab.fleet.settings import WITHOUT, FleetSettings
from tidegate_lab.settings import RolloutSettings

BUDGET_SHARE_PER_S = 0.08
"""The default budget: this share of all clients per second."""

DEFAULT_REPORT = Path("reports/demo.html")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `tidegate demo`, with the defaults that were measured on a real cluster."""
    fleet = parser.add_argument_group("the fleet")
    whole, seconds = _whole, _seconds
    fleet.add_argument("--pods", type=whole(1, 50), default=5, help="replicas (default 5)")
    fleet.add_argument("--surge", type=whole(0, 50), default=1, help="maxSurge (default 1)")
    fleet.add_argument(
        "--unavailable", type=whole(0, 50), default=0, help="maxUnavailable (default 0)"
    )
    fleet.add_argument(
        "--ready-delay", type=seconds, default=1.0, metavar="S", help="start to ready (default 1)"
    )
    fleet.add_argument(
        "--min-ready", type=seconds, default=4.0, metavar="S", help="minReadySeconds (default 4)"
    )
    fleet.add_argument(
        "--grace", type=seconds, default=60.0, metavar="S", help="grace period (default 60)"
    )
    load = parser.add_argument_group("the load")
    load.add_argument(
        "--clients", type=whole(1, 20_000), default=1000, help="streams (default 1000)"
    )
    load.add_argument("--rate", type=_rate, default=20.0, help="events per second (default 20)")
    load.add_argument(
        "--handover",
        type=_share,
        default=0.10,
        metavar="SHARE",
        help="share of clients that hand over, 0 to 1 (default 0.1)",
    )
    load.add_argument("--seed", type=whole(0, 2**31), default=1, help="default 1")
    run = parser.add_argument_group("the comparison")
    run.add_argument(
        "--budget",
        type=_rate,
        metavar="PER_S",
        help="streams per second that may move (default 0.08 x clients)",
    )
    run.add_argument("--only", choices=MODES, metavar="MODE", help=f"one of {', '.join(MODES)}")
    run.add_argument(
        "--without",
        choices=WITHOUT,
        action="append",
        default=[],
        metavar="PART",
        help=f"leave out {', '.join(WITHOUT)}, to see the goals fail; may be repeated",
    )
    out = parser.add_argument_group("output")
    out.add_argument(
        "--report",
        type=Path,
        default=DEFAULT_REPORT,
        metavar="FILE",
        help=f"where the HTML report goes (default {DEFAULT_REPORT})",
    )
    out.add_argument(
        "--svg", type=Path, metavar="FILE", help="write the plots as one SVG picture as well"
    )
    out.add_argument(
        "--json", metavar="FILE", help="write the scorecards as JSON; - is standard output"
    )
    out.add_argument(
        "--port",
        type=whole(0, 65535),
        default=0,
        help="port of the front door for curl and browsers (default: any free one)",
    )


def settings_of(arguments: argparse.Namespace) -> list[RolloutSettings]:
    """One rollout per mode, the same but for the mode; raises `SettingsError`."""
    if arguments.surge + arguments.unavailable < 1:
        raise SettingsError("--surge", "with --unavailable 0 at least 1, or nothing can roll")
    if arguments.unavailable > arguments.pods:
        raise SettingsError("--unavailable", f"at most the {arguments.pods} pods there are")
    modes = MODES if arguments.only is None else (arguments.only,)
    return [_settings(arguments, mode) for mode in modes]


def _settings(arguments: argparse.Namespace, mode: str) -> RolloutSettings:
    fleet = FleetSettings(
        pods=arguments.pods,
        max_surge=arguments.surge,
        max_unavailable=arguments.unavailable,
        ready_delay_s=arguments.ready_delay,
        min_ready_s=arguments.min_ready,
        grace_s=arguments.grace,
        mode=mode,
        without=frozenset(arguments.without if mode == MODE_TIDEGATE else ()),
    )
    budget_per_s = arguments.budget or BUDGET_SHARE_PER_S * arguments.clients
    return RolloutSettings(
        fleet=fleet,
        clients=arguments.clients,
        handover_share=arguments.handover,
        rate_per_s=arguments.rate,
        budget_per_s=budget_per_s,
        seed=arguments.seed,
        port=arguments.port,
    )


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{value}: allowed is {least} to {most}")
        return value

    read.__name__ = "whole number"
    return read


def _seconds(text: str) -> float:
    return _bounded(text, 0.0, 3600.0)


def _rate(text: str) -> float:
    return _bounded(text, 0.1, 100_000.0)


def _share(text: str) -> float:
    return _bounded(text, 0.0, 1.0)


def _bounded(text: str, least: float, most: float) -> float:
    value = float(text)
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"{text}: allowed is {least:g} to {most:g}")
    return value
