"""The first lines of the `tidegate` script: a handler for SIGTERM before anything is imported.

For PID 1 of a container the kernel drops a signal that has no handler, and a pod that is deleted
while it starts would then wait for its whole grace period.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

EXIT_TERMINATED = 128 + signal.SIGTERM
"""As a shell shows it, and as it ends where it is not PID 1."""


def main() -> int:
    """Run the command; returns the exit status."""
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, _end)
    from tidegate_cli.main import main

    return main()


def _end(_number: int, _frame: FrameType | None) -> None:
    # Not sys.exit: an exception in the midst of an import could be swallowed. Nothing has begun.
    os._exit(EXIT_TERMINATED)
