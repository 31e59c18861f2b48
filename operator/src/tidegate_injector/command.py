"""`tidegate injector`: reads the environment and runs one injector until a signal ends it."""

from __future__ import annotations

import argparse
import sys

from tidegate.contract.command import Command
from tidegate_injector.settings import InjectorSettings
from tidegate_process.environ import settings_help
from tidegate_process.program import only_environment, run_program


def _run(_: argparse.Namespace) -> int:
    return run_program("injector", InjectorSettings, _go)


def _go(settings: InjectorSettings) -> int:
    # Imported here, so that --help and a bad setting do not wait for the servers' libraries.
    from tidegate_injector.process import Injector
    from tidegate_process.loops import run

    run(Injector(settings).run(sys.stdout))
    return 0


COMMAND = Command(
    summary="add the sidecar to pods annotated for it (admission webhook)",
    add_arguments=only_environment,
    run=_run,
    description="Everything is set by environment variables; see the list below.",
    epilog=settings_help(InjectorSettings),
)
