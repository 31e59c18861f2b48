"""``python -m tidegate_operator [run|readmit]``: as ``tidegate operator`` and ``readmit``."""

from __future__ import annotations

import sys

from tidegate_operator.command import COMMAND, READMIT
from tidegate_process.program import run_alone


def main(arguments: list[str]) -> int:
    """Run one of the two; returns the exit status."""
    if arguments[:1] == ["readmit"]:
        return run_alone("readmit", READMIT, arguments[1:])
    return run_alone("operator", COMMAND, arguments[1:] if arguments[:1] == ["run"] else arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
