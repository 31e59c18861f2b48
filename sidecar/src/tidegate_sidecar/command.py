"""`tidegate sidecar`: reads the environment and runs one sidecar until it is told to stop."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys

from tidegate.contract.command import Command
from tidegate.contract.errors import SettingsError
from tidegate_process.descriptors import raise_descriptor_limit
from tidegate_process.logs import set_up_logs
from tidegate_process.signals import end_at_once
from tidegate_sidecar.settings import read_settings
from tidegate_sidecar.settings_table import TABLE


def settings_help() -> str:
    """Every setting with its default and what is allowed, from the one table."""
    lines = ["environment variables:"]
    for setting in TABLE:
        lines.append(f"  {setting.name} (default: {setting.default or 'empty'})")
        lines.append(f"      {setting.help}")
        lines.append(f"      {setting.kind.allowed}")
    return "\n".join(lines)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def _run(_: argparse.Namespace) -> int:
    end_at_once()
    try:
        settings = read_settings(os.environ, socket.gethostname())
        set_up_logs(settings.log_level)
        log = logging.getLogger("tidegate.settings")
        for warning in settings.warnings:
            log.warning(warning)
        # Imported here, so that --help and a bad setting do not wait for the servers' libraries.
        from tidegate_sidecar.process import run_sidecar

        return run_sidecar(settings, raise_descriptor_limit())
    except SettingsError as error:
        sys.stderr.write(f"tidegate sidecar: {error}\n")
        return 2


COMMAND = Command(
    summary="stream Server-Sent Events for an application in the same pod",
    add_arguments=_add_arguments,
    run=_run,
    description="Everything is told by environment variables; see the list below.",
    epilog=settings_help(),
)
