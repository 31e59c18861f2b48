"""The `demo` subcommand, light to import: what it needs is loaded when it runs."""

from __future__ import annotations

import argparse

from tidegate.contract.command import Command
from tidegate_lab.demo.options import add_arguments


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; returns the exit status."""
    from tidegate_lab.demo import conduct

    return conduct.run(arguments)


COMMAND = Command(
    summary="three rolling updates on this machine: stock, stock+sleep, tidegate",
    add_arguments=add_arguments,
    run=run,
    description=(
        "Roll a fleet of local pods over while clients hold streams to it, three times from the "
        "same start: as a stock Deployment, with the usual preStop sleep, and with Tidegate. "
        "Real processes, real sockets; every event of every client is checked."
    ),
    epilog="Exit status: 0 if the tidegate run meets every goal, 1 if not, 2 if it cannot run.",
)
