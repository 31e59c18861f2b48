"""``tidegate simulate --crash``: a pod dies without a goodbye; prints the figures and goals."""

from __future__ import annotations

import argparse
import sys

from tidegate_lab.documents import STDOUT, write_json
from tidegate_lab.options import check_range
from tidegate_lab.simulate.crash_model import CrashOutcome, CrashSettings, simulate_crash

_DEFAULT_RATE_PER_S = CrashSettings().accept_rate_per_s


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options on `parser`."""
    parser.add_argument(
        "--crash",
        type=int,
        metavar="N",
        help="instead of a rollout: kill a pod that holds N streams of clients with the "
        "TypeScript client's rules; of the other options only --accept-rate, --seed, --json count",
    )
    parser.add_argument(
        "--accept-rate",
        dest="accept_rate_per_s",
        type=float,
        default=_DEFAULT_RATE_PER_S,
        metavar="N",
        help="with --crash: new streams per second that the rest of the fleet takes "
        f"({_DEFAULT_RATE_PER_S:g})",
    )


def run(options: argparse.Namespace) -> int:
    """Simulate and print; 1 for a missed goal. Raises `SettingsError` for one out of bounds."""
    check_range("--crash", options.crash, 1, 1_000_000)
    check_range("--accept-rate", options.accept_rate_per_s, 1, 1_000_000)
    check_range("--seed", options.seed, 0, 2**31)
    settings = CrashSettings(options.crash, options.accept_rate_per_s, options.seed)
    outcome = simulate_crash(settings)
    misses = outcome.missed() if settings.within_cap else []
    write_json(options.json, {"crash": outcome.to_json()})
    if options.json != STDOUT:
        sys.stdout.write(_text(outcome, misses, settings))
    return 1 if misses else 0


def _text(outcome: CrashOutcome, misses: list[str], settings: CrashSettings) -> str:
    lines = [f"a pod with {settings.streams} streams has died, simulated"]
    for key, figure in outcome.to_json().items():
        lines.append(f"  {key:20} {'never' if figure is None else format(figure, ','):>10}")
    lines += [f"Goal missed: {miss}" for miss in misses]
    if not settings.within_cap:
        cap_s = settings.retries.crash_spread_max_ms / 1000
        lines.append(f"Not judged: N/C is above {cap_s:g} s, the cap of the spread.")
    elif not misses:
        lines.append("Every goal is met.")
    return "\n".join(lines) + "\n"
