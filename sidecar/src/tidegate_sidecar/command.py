"""`tidegate sidecar`: reads the environment and runs one sidecar until it is told to stop."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Mapping
from types import FrameType

from tidegate.contract.command import Command
from tidegate.contract.errors import SettingsError
from tidegate.contract.sidecar import SidecarSettings, env
from tidegate_process.environ import read, settings_help
from tidegate_sidecar.logs import set_up_logs


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def _run(_: argparse.Namespace) -> int:
    # Until the process has its own handlers there is nothing to say goodbye to.
    signal.signal(signal.SIGTERM, _leave)
    try:
        settings, warnings = read(SidecarSettings, os.environ, **_own_names(os.environ))
        set_up_logs(settings.log.level)
        log = logging.getLogger("tidegate.settings")
        for warning in warnings:
            log.warning(warning)
        _raise_descriptor_limit()
        # Imported here, so that --help and a bad setting do not wait for the servers' libraries.
        from tidegate_sidecar.process import run_sidecar

        return run_sidecar(settings)
    except SettingsError as error:
        sys.stderr.write(f"tidegate sidecar: {error}\n")
        return 2


def _own_names(environ: Mapping[str, str]) -> dict[str, str]:
    """The pod's name and UID where the environment has none: in Kubernetes the host's name."""
    name = environ.get(env("pod_name")) or socket.gethostname()
    return {"pod_name": name, "pod_uid": name}


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _raise_descriptor_limit() -> None:
    """Take what the system allows: each stream is a file descriptor, and 1,024 are few."""
    import resource

    with contextlib.suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


COMMAND = Command(
    summary="stream Server-Sent Events for an application in the same pod",
    add_arguments=_add_arguments,
    run=_run,
    description="Everything is told by environment variables; see the list below.",
    epilog=settings_help(SidecarSettings),
)
