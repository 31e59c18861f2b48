"""``python -m tidegate_injector``: the same as ``tidegate injector``, for older manifests."""

from __future__ import annotations

import sys

from tidegate_process.signals import end_at_once


def main() -> int:
    """Run the injector; returns the exit status."""
    end_at_once()
    # Imported here: a signal that comes while this is loaded must have a handler.
    from tidegate_injector.command import COMMAND
    from tidegate_process.program import run_alone

    return run_alone("injector", COMMAND)


if __name__ == "__main__":
    sys.exit(main())
