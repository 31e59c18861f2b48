"""The frame of a program: settings, logs, warnings, the run, and one line for what prevents it.

Exit status: what the run returns; 2 with one line for a setting that is not usable, 1 for another
failure of ours.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol, TypeVar

from tidegate.contract.command import Command
from tidegate.contract.errors import SettingsError, TidegateError
from tidegate_process.logs import set_up_logs
from tidegate_process.signals import end_at_once


class ProgramSettings(Protocol):
    """What every program's settings have. `warnings` are for the log."""

    @property
    def log_level(self) -> str:
        """The least severe log lines written."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the environment, but no reason not to start."""


_Settings = TypeVar("_Settings", bound=ProgramSettings)


def run_program(
    name: str,
    read: Callable[[Mapping[str, str]], _Settings],
    run: Callable[[_Settings], int],
    *,
    hidden: Collection[str] = (),
    muted: str = "",
) -> int:
    """Read the settings with `read`, set up logs and signals, and return what `run` returns.

    `hidden` and `muted` are of `set_up_logs`.
    """
    end_at_once()
    try:
        settings = read(os.environ)
        set_up_logs(settings.log_level, hidden=hidden, muted=muted)
        for warning in settings.warnings:
            logging.getLogger("tidegate.settings").warning(warning)
        return run(settings)
    except TidegateError as error:
        if sys.stderr is not None:
            sys.stderr.write(f"tidegate {name}: {error}\n")
        return 2 if isinstance(error, SettingsError) else 1


def run_alone(name: str, command: Command, arguments: Sequence[str] | None = None) -> int:
    """``python -m PACKAGE`` for what is started by ``tidegate NAME``: for older manifests."""
    parser = argparse.ArgumentParser(
        prog=f"tidegate {name}",
        description=command.description or command.summary,
        epilog=command.epilog,
    )
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


def only_environment(parser: argparse.ArgumentParser) -> None:
    """A `Command.add_arguments` for a program without any: its help is a table as it stands."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
