"""`tidegate sidecar`: reads the environment and runs one sidecar until a signal ends it."""

from __future__ import annotations

import argparse
import socket

from tidegate.contract.command import Command
from tidegate_process.descriptors import raise_descriptor_limit
from tidegate_process.program import only_environment, run_program
from tidegate_sidecar.settings import Settings, read_settings
from tidegate_sidecar.settings_table import TABLE


def settings_help() -> str:
    """Every setting with its default and what is allowed, from the one table."""
    lines = ["environment variables:"]
    for setting in TABLE:
        lines.append(f"  {setting.name} (default: {setting.default or 'empty'})")
        lines.append(f"      {setting.help}")
        lines.append(f"      {setting.kind.allowed}")
    return "\n".join(lines)


def _run(_: argparse.Namespace) -> int:
    return run_program("sidecar", lambda environ: read_settings(environ, socket.gethostname()), _go)


def _go(settings: Settings) -> int:
    # Imported here, so that --help and a bad setting do not wait for the servers' libraries.
    from tidegate_sidecar.process import run_sidecar

    return run_sidecar(settings, raise_descriptor_limit())


COMMAND = Command(
    summary="stream Server-Sent Events for an application in the same pod",
    add_arguments=only_environment,
    run=_run,
    description="Everything is set by environment variables; see the list below.",
    epilog=settings_help(),
)
