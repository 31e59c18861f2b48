"""The frame of a program: settings, logs, warnings, the run, and one line for what prevents it.

Exit status: what the run returns; 2 with one line for a setting that is not usable, 1 for another
failure of ours.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from tidegate.contract.command import Command
from tidegate.contract.errors import SettingsError, TidegateError
from tidegate.contract.settings import LogSettings
from tidegate_process.environ import read
from tidegate_process.logs import NO_RULES, LogRules, set_up_logs
from tidegate_process.signals import end_at_once


class ProgramSettings(Protocol):
    """The settings that every program has."""

    @property
    def log(self) -> LogSettings:
        """What is logged."""


_Settings = TypeVar("_Settings", bound=ProgramSettings)


def run_program(
    name: str,
    declared: type[_Settings],
    run: Callable[[_Settings], int],
    *,
    environ: Mapping[str, str] | None = None,
    logs: LogRules = NO_RULES,
    **fallbacks: str,
) -> int:
    """Read the settings, set up logs and signals, and return what `run` returns.

    `environ` is the process's own by default; `fallbacks` are of `environ.read`.
    """
    end_at_once()
    try:
        settings, warnings = read(declared, environ or os.environ, **fallbacks)
        set_up_logs(settings.log.level, rules=logs)
        for warning in warnings:
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
