"""``tidegate simulate --crash``: pods die without a goodbye; prints the figures and goals."""

from __future__ import annotations

import argparse
import sys
from typing import get_args

from tidegate_lab.documents import STDOUT, write_json
from tidegate_lab.options import check_range
from tidegate_lab.simulate.crash_model import (
    ClientKind,
    CrashOutcome,
    CrashSettings,
    simulate_crash,
)

_DEFAULTS = CrashSettings()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options on `parser`."""
    parser.add_argument(
        "--crash",
        type=int,
        metavar="N",
        help="instead of a rollout: kill pods that hold N streams; of the other options only "
        "--pods, --seed, --json and the next three count",
    )
    parser.add_argument(
        "--crash-pods",
        dest="dead",
        type=int,
        default=_DEFAULTS.dead,
        metavar="N",
        help=f"with --crash: how many of the --pods crash ({_DEFAULTS.dead})",
    )
    parser.add_argument(
        "--crash-clients",
        dest="returning",
        choices=get_args(ClientKind),
        default=_DEFAULTS.clients,
        help="with --crash: Tidegate's own clients (smart, the default) or browsers' EventSources",
    )
    parser.add_argument(
        "--accept-rate",
        dest="accept_rate_per_s",
        type=float,
        default=_DEFAULTS.accept_rate_per_s,
        metavar="N",
        help="with --crash: new streams per second that the rest of the fleet takes "
        f"({_DEFAULTS.accept_rate_per_s:g})",
    )


def run(options: argparse.Namespace) -> int:
    """Simulate and print; 1 for a missed goal. Raises `SettingsError` for one out of bounds."""
    check_range("--crash", options.crash, 1, 1_000_000)
    check_range("--accept-rate", options.accept_rate_per_s, 1, 1_000_000)
    check_range("--seed", options.seed, 0, 2**31)
    check_range("--pods", options.pods, 2, 1_000)
    check_range("--crash-pods", options.dead, 1, options.pods - 1)
    settings = CrashSettings(
        options.crash,
        options.accept_rate_per_s,
        options.seed,
        options.pods,
        options.dead,
        options.returning,
    )
    outcome = simulate_crash(settings)
    misses = outcome.missed()
    write_json(options.json, {"crash": outcome.to_json()})
    if options.json != STDOUT:
        sys.stdout.write(_text(outcome, misses))
    return 1 if misses else 0


def _text(outcome: CrashOutcome, misses: list[str]) -> str:
    lines = [f"{outcome.dead} of {outcome.pods} pods have crashed, simulated"]
    for key, figure in outcome.to_json().items():
        lines.append(f"  {key:20} {'never' if figure is None else format(figure, ','):>10}")
    lines += [f"Goal missed: {miss}" for miss in misses] or ["Every goal is met."]
    return "\n".join(lines) + "\n"
