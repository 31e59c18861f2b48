"""``python -m tidegate_sidecar``: the same as ``tidegate sidecar``."""

from __future__ import annotations

import argparse
import sys

from tidegate_sidecar.command import COMMAND


def main() -> int:
    """Run the sidecar's command alone."""
    parser = argparse.ArgumentParser(
        prog="python -m tidegate_sidecar", description=COMMAND.description, epilog=COMMAND.epilog
    )
    COMMAND.add_arguments(parser)
    return COMMAND.run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
