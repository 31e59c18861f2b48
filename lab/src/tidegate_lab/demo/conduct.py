"""Conducting the demo: run the rollouts, print, write, and return the exit status."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tidegate.contract.errors import SettingsError
from tidegate.score.observe import compare
from tidegate.score.scorecard import document
from tidegate_lab.broker import nats_server, start_broker
from tidegate_lab.demo.options import settings_of
from tidegate_lab.demo.outcome import Outcome, conclude
from tidegate_lab.demo.plots import combined
from tidegate_lab.demo.progress import Display
from tidegate_lab.demo.report import write_report
from tidegate_lab.demo.tables import scorecards
from tidegate_lab.descriptors import raise_descriptor_limit
from tidegate_lab.documents import STDOUT, check_writable, write_json
from tidegate_lab.processes import ProcessGroup
from tidegate_lab.rollout import Measured, measure
from tidegate_lab.settings import RolloutSettings

EXIT_TERMINATED = 128 + signal.SIGTERM

BUSY_S = 0.15
"""An idle machine keeps the lab and its clients within some hundredths of a second."""


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; returns the exit status. Raises `TidegateError` when it cannot be run."""
    rollouts = settings_of(arguments)
    raise_descriptor_limit(rollouts[0].most_connections, "--clients")
    nats_server()
    outputs = {"--report": arguments.report, "--svg": arguments.svg, "--json": arguments.json}
    for option, target in outputs.items():
        check_writable(option, target)
    try:
        with Display(Console(stderr=True), tuple(one.fleet.mode for one in rollouts)) as display:
            measured = asyncio.run(_run_all(rollouts, display))
    except asyncio.CancelledError:
        return EXIT_TERMINATED
    status = tell(measured, rollouts[0], arguments.report, arguments.json)
    if arguments.svg is not None:
        picture = combined(measured, rollouts[0].budget_per_s)
        _write("--svg", arguments.svg, picture)
    return status


def tell(
    measured: Sequence[Measured], settings: RolloutSettings, report: Path, json_target: str | None
) -> int:
    """Print the scorecards, write the report and the JSON document; returns the exit status.

    Where JSON goes to standard output, everything for people goes to standard error. Raises
    `SettingsError` for a file that cannot be written.
    """
    console = Console(stderr=json_target == STDOUT)
    fleet = settings.fleet
    runs = compare([one.run for one in measured], fleet.max_surge, fleet.max_unavailable)
    outcome = conclude(runs)
    console.print(scorecards(outcome))
    late_s = max(one.late_s for one in measured)
    for line in (*outcome.verdict(), *_about_the_machine(outcome, late_s)):
        console.print(line, highlight=False, soft_wrap=True)
    write_json(json_target, document(runs))
    try:
        write_report(report, measured, outcome, settings)
    except OSError as error:
        raise SettingsError("--report", f"{report}: {error.strerror}") from None
    console.print(f"Report: {report}", highlight=False, soft_wrap=True)
    return outcome.status


def _write(option: str, path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SettingsError(option, f"{path}: {error.strerror}") from None


def _about_the_machine(outcome: Outcome, late_s: float) -> list[str]:
    """A doubt that belongs beside a miss: was the machine too busy to measure on?"""
    if outcome.status == 0 or late_s < BUSY_S:
        return []
    return [f"This machine was busy: the lab itself was up to {late_s:.1f} s late. Try it idle."]


async def _run_all(rollouts: Sequence[RolloutSettings], display: Display) -> list[Measured]:
    """One rollout after the other, each with a fleet of its own; the broker is shared."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    measured = []
    async with ProcessGroup() as process_group:
        broker_url = await start_broker(process_group)
        for settings in rollouts:
            display.begin(settings.fleet.mode)
            measured.append(await measure(process_group, broker_url, settings, display.show))
    return measured
