"""``python -m tidegate_operator``: run the operator, or ``readmit`` every pod and end."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

from tidegate.contract.errors import SettingsError, TidegateError
from tidegate.contract.settings import variable
from tidegate_operator.kube.logs import set_up_logs
from tidegate_operator.kube.settings import OperatorSettings
from tidegate_process.environ import read, settings_help

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def main(arguments: list[str] | None = None) -> int:
    """Run one of the two; returns the exit status (2: a setting or argument is wrong)."""
    parser = argparse.ArgumentParser(
        prog="python -m tidegate_operator",
        description="Everything is told by environment variables; see the list below.",
        epilog=settings_help(OperatorSettings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=("run", "readmit"),
        default="run",
        help="run (default): the operator; readmit: label every closed pod open again, and end",
    )
    command = parser.parse_args(arguments).command
    try:
        return _run() if command == "run" else _readmit()
    except TidegateError as error:
        sys.stderr.write(f"tidegate operator: {error}\n")
        return 2 if isinstance(error, SettingsError) else 1


def _run() -> int:
    settings, warnings = read(OperatorSettings, os.environ, pod_namespace=_own_namespace())
    set_up_logs(settings.log.level)
    for warning in warnings:
        logging.getLogger("tidegate.settings").warning(warning)
    # Imported here, so that --help and a bad setting do not wait for kopf and the client.
    from tidegate_kubernetes.api import Access
    from tidegate_operator.kube.process import run_operator

    return asyncio.run(run_operator(settings, Access.from_environ(os.environ)))


def _readmit() -> int:
    # No certificate is made here, so its names need not be told.
    environ = {**os.environ, variable("certificates"): "files"}
    settings, _ = read(OperatorSettings, environ, pod_namespace=_own_namespace())
    set_up_logs(settings.log.level)
    from tidegate_kubernetes.api import Access
    from tidegate_operator.kube.readmit import readmit

    left = asyncio.run(readmit(Access.from_environ(os.environ), settings.place.watched))
    if left:
        sys.stderr.write(f"tidegate operator: {left} pod(s) are still closed\n")
    return 1 if left else 0


def _own_namespace() -> str:
    try:
        return NAMESPACE_FILE.read_text().strip()
    except OSError:
        return "default"


if __name__ == "__main__":
    sys.exit(main())
