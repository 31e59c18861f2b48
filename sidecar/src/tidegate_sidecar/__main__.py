"""``python -m tidegate_sidecar``: the same as ``tidegate sidecar``, for older manifests."""

from __future__ import annotations

import sys

from tidegate_process.signals import end_at_once


def main() -> int:
    """Run the sidecar; returns the exit status."""
    end_at_once()
    # Imported here: a signal that comes while this is loaded must have a handler.
    from tidegate_process.program import run_alone
    from tidegate_sidecar.command import COMMAND

    return run_alone("sidecar", COMMAND)


if __name__ == "__main__":
    sys.exit(main())
