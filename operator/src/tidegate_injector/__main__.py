"""`python -m tidegate_injector`: reads the environment and runs one injector until told to stop.

Exit status 0 after SIGTERM or SIGINT, 2 with one line for a setting that is not usable.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys

from tidegate.contract.errors import SettingsError
from tidegate_injector.logs import set_up_logs
from tidegate_injector.process import Injector
from tidegate_injector.settings import InjectorSettings
from tidegate_process.environ import read, settings_help


def main() -> int:
    """Run the injector; returns the exit status."""
    argparse.ArgumentParser(
        prog="python -m tidegate_injector",
        description="The webhook that adds the sidecar to pods whose owner asked for it.",
        epilog=settings_help(InjectorSettings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    try:
        settings, warnings = read(InjectorSettings, os.environ)
        set_up_logs(settings.log.level, sys.stderr)
        for warning in warnings:
            logging.getLogger("tidegate.settings").warning(warning)
        asyncio.run(Injector(settings).run(sys.stdout))
    except SettingsError as error:
        sys.stderr.write(f"tidegate_injector: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
