"""What the thin `tidegate` command expects of a subcommand.

A package offers one by an entry point in the group ``tidegate.commands`` that names a `Command`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

ENTRY_POINT_GROUP = "tidegate.commands"


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand: its one-line summary, its arguments, and what runs it.

    `run` gets the parsed arguments and returns the exit status: 0 good, 1 a goal was missed,
    2 the caller must change something (a `TidegateError` raised from it is that, too).
    """

    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    description: str | None = None
    epilog: str | None = None
