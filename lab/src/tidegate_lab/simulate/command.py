"""``tidegate simulate``: one rollout in virtual time, printed as a scorecard."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace

from tidegate.contract.command import Command
from tidegate.contract.errors import SettingsError
from tidegate.score.goals import SIMULATION_GOALS, Goal, Miss, judge
from tidegate.score.observe import compare
from tidegate.score.scorecard import Run, document
from tidegate_lab.documents import STDOUT, check_writable, write_json
from tidegate_lab.options import check_range
from tidegate_lab.simulate import crash
from tidegate_lab.simulate.run import simulate
from tidegate_lab.simulate.settings import POLICIES, STRATEGIES, Settings

_DEFAULTS = Settings()

_NUMBERS: tuple[tuple[str, str, Callable[[str], float], float, float, str], ...] = (
    ("--pods", "pods", int, 1, 1000, "replicas of the Deployment, k"),
    ("--clients", "clients", int, 1, 1_000_000, "clients with one stream each, N"),
    ("--budget", "budget_per_s", float, 0.1, 1_000_000, "streams per second that may be moved"),
    ("--surge", "max_surge", int, 0, 1000, "the Deployment's maxSurge, in pods"),
    ("--unavailable", "max_unavailable", int, 0, 1000, "its maxUnavailable, in pods"),
    ("--ready-delay", "ready_delay_s", float, 0, 3600, "seconds from a pod's creation to ready"),
    ("--min-ready", "min_ready_s", float, 0, 3600, "seconds from ready to available"),
    ("--grace", "grace_s", float, 1, 86_400, "terminationGracePeriodSeconds"),
    ("--skew", "skew", float, 0, 3, "unevenness of the start: sigma of a log-normal load per pod"),
    (
        "--lag",
        "lag_s",
        float,
        0,
        60,
        "the longest delay until a router applies a change, uniform from 0",
    ),
    ("--strays", "strays", float, 0, 1, "share of clients whose route ignores steering"),
    ("--seed", "seed", int, 0, 2**31, "same seed, same rollout"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options on `parser`."""
    parser.add_argument(
        "--policy",
        choices=POLICIES,
        default=_DEFAULTS.policy,
        help="stock: cut at SIGTERM; stock+sleep: preStop sleep 5 before; local: Tidegate without "
        "an operator; tidegate (default)",
    )
    parser.add_argument(
        "--strategy",
        choices=STRATEGIES,
        default=_DEFAULTS.strategy,
        help="RollingUpdate (default): a Deployment with surge; StatefulSet: one pod after the "
        "other, in its place; Recreate: all pods end, then all are created. Goals are set for the "
        "first one only",
    )
    for flag, name, kind, _, _, text in _NUMBERS:
        default = getattr(_DEFAULTS, name)
        parser.add_argument(
            flag, dest=name, type=kind, default=default, metavar="N", help=f"{text} ({default:g})"
        )
    crash.add_arguments(parser)
    parser.add_argument(
        "--json", metavar="FILE", help="write the scorecard as JSON to FILE (-: standard output)"
    )


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings the options stand for; raises `SettingsError` for one out of bounds."""
    for flag, name, _, least, most, _ in _NUMBERS:
        value = getattr(options, name)
        check_range(flag, value, least, most)
    if options.max_surge + options.max_unavailable < 1:
        raise SettingsError("--surge", "surge and unavailable cannot both be 0: nothing could move")
    chosen = {name: getattr(options, name) for _, name, *_ in _NUMBERS}
    return Settings(policy=options.policy, strategy=options.strategy, **chosen)


def run(options: argparse.Namespace) -> int:
    """Simulate and print; 1 where a Tidegate run misses a goal of the simulation."""
    check_writable("--json", options.json)
    if options.crash is not None:
        return crash.run(options)
    settings = settings_of(options)
    result = simulate(settings)
    judged = settings.steered and settings.strategy == "RollingUpdate"
    if judged:
        # The time limit is stock's own pace: one more rollout, the same start, a second of work.
        stock = simulate(replace(settings, policy="stock"))
        result = compare([stock, result], settings.max_surge, settings.max_unavailable)[1]
    goals = SIMULATION_GOALS if judged else ()
    misses = judge(result.scorecard, goals)
    write_json(options.json, document([result]))
    if options.json != STDOUT:
        sys.stdout.write(_text(result, goals, misses))
    return 1 if misses else 0


def _text(result: Run, goals: tuple[Goal, ...], misses: list[Miss]) -> str:
    wanted = {goal.key: goal for goal in goals}
    missed = {miss.goal.key for miss in misses}
    lines = [f"{result.mode}: {result.clients} clients on {result.pods} pods, simulated"]
    for key, figure in result.scorecard.to_json().items():
        if figure is None:
            continue
        goal = wanted.get(key)
        verdict = ""
        if goal is not None:
            verdict = f"  {goal.comparison} {goal.bound:g}  {'MISSED' if key in missed else 'met'}"
        lines.append(
            f"  {key:25} {figure:>12,.4g}{verdict}"
            if isinstance(figure, float)
            else f"  {key:25} {figure:>12,}{verdict}"
        )
    return "\n".join(lines) + "\n"


COMMAND = Command(
    summary="simulate one rolling update in virtual time and print its scorecard",
    add_arguments=add_arguments,
    run=run,
    description="Simulates one rolling update of a Deployment in virtual time: the production "
    "planner and drain, a kube-proxy that syncs late, clients that follow retry:. Exit status 1 "
    "when a tidegate run misses a goal. The goals are set for the defaults; a skewed start or "
    "strays cost time and moves that no planner can save. With --crash pods die instead, and "
    "what counts is when its clients are back.",
    epilog="examples: tidegate simulate --policy stock; tidegate simulate --skew 0.4 --json -; "
    "tidegate simulate --strategy StatefulSet --pods 3 --clients 300 --budget 20; "
    "tidegate simulate --crash 2000 --accept-rate 400",
)
