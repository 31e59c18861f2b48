"""``python -m e2e.cluster up|down|status [--provider kind|native] [--nodes N]``."""

from __future__ import annotations

import argparse
import os
import signal
import sys

from e2e.cluster.providers import NAMES, default_name, provider
from tidegate.contract.errors import TidegateError


def main() -> int:
    """Do what the command line says; 2 when the caller must change something."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        cluster = provider(arguments.provider, os.environ)
        match arguments.verb:
            case "up":
                cluster.up(arguments.nodes)
                print(cluster.status())
            case "down":
                cluster.down()
            case "status":
                print(cluster.status())
            case "guard":
                sys.stdin.read()
                cluster.down()
    except TidegateError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m e2e.cluster", description=__doc__)
    parser.add_argument("verb", choices=("up", "down", "status", "guard"))
    parser.add_argument("--provider", choices=NAMES, default=default_name(os.environ))
    parser.add_argument("--nodes", type=int, default=1, help="how many nodes (default: 1)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
