"""The thin `tidegate` command.

Subcommands come from entry points, so that this package depends on none of theirs. One whose
extra is not installed still shows in the help and says how to get it. Exit status: what the
subcommand returns; 2 when the caller must change something; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint, entry_points

from tidegate import __version__
from tidegate.contract.command import ENTRY_POINT_GROUP, Command
from tidegate.contract.errors import TidegateError

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
"""128 + SIGPIPE: what a shell shows for a program whose reader has gone."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; `argv` defaults to the process's own. Returns the exit status."""
    found = {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
    return run(sys.argv[1:] if argv is None else argv, found.values())


def run(argv: Sequence[str], commands: Iterable[EntryPoint]) -> int:
    """The same with the subcommands given."""
    by_name = {entry.name: entry for entry in sorted(commands, key=lambda entry: entry.name)}
    chosen = next((by_name[word] for word in argv if word in by_name), None)
    try:
        # Only the chosen subcommand is imported; the help needs the summaries of all.
        parser = _parser(by_name.values() if chosen is None else [chosen])
        arguments = parser.parse_args(argv)
        if not hasattr(arguments, "command"):
            parser.print_help()
            return EXIT_USAGE
        command: Command = arguments.command
        status = command.run(arguments)
        sys.stdout.flush()
    except TidegateError as error:
        return _fail(f"tidegate: {error}", EXIT_USAGE)
    except ModuleNotFoundError as error:
        if chosen is None or _is_ours(error.name):
            raise
        return _fail(f"tidegate {chosen.name}: {_remedy(chosen, error)}", EXIT_USAGE)
    except KeyboardInterrupt:
        return _fail("", EXIT_INTERRUPTED)
    except BrokenPipeError:
        _silence_stdout()
        return EXIT_BROKEN_PIPE
    return status


def _parser(commands: Iterable[EntryPoint]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tidegate", description="Rolling updates your SSE clients don't feel."
    )
    parser.add_argument("--version", action="version", version=f"tidegate {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for entry in commands:
        try:
            command: Command = entry.load()
        except ModuleNotFoundError as error:
            subparsers.add_parser(entry.name, help=_remedy(entry, error)).set_defaults(
                command=_Missing(entry, error)
            )
            continue
        subparser = subparsers.add_parser(
            entry.name,
            help=command.summary,
            description=command.description or command.summary,
            epilog=command.epilog,
        )
        command.add_arguments(subparser)
        subparser.set_defaults(command=command)
    return parser


class _Missing:
    """Stands for a subcommand whose extra is not installed."""

    def __init__(self, entry: EntryPoint, error: ModuleNotFoundError) -> None:
        self._entry = entry
        self._error = error

    def run(self, _: argparse.Namespace) -> int:
        return _fail(f"tidegate {self._entry.name}: {_remedy(self._entry, self._error)}", 2)


def _remedy(entry: EntryPoint, error: ModuleNotFoundError) -> str:
    """The line that installs what is missing; the extra is named as the package that needs it."""
    extra = entry.module.partition(".")[0].removeprefix("tidegate_")
    return f"{error.name} is not installed: pip install 'tidegate[{extra}]'"


def _is_ours(module: str | None) -> bool:
    """Whether the missing module is part of the distribution, which no extra can mend."""
    return (module or "tidegate").partition(".")[0].partition("_")[0] == "tidegate"


def _fail(message: str, status: int) -> int:
    if message:
        sys.stderr.write(message + "\n")
    return status


def _silence_stdout() -> None:
    """Give the interpreter somewhere to flush to, so that it does not complain at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
