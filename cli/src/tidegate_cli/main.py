"""The thin `tidegate` command.

Subcommands come from entry points, so that this package depends on none of theirs. One whose extra
is not installed still shows in the help, with the command that installs it. Only the subcommand
that is asked for is imported. Exit status: what the subcommand returns; 2 when the caller must
change something; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points
from urllib.parse import urlsplit
from urllib.request import url2pathname

from tidegate import __version__
from tidegate.contract.command import ENTRY_POINT_GROUP, Command
from tidegate.contract.errors import TidegateError

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
"""128 + SIGPIPE, the shell's status of a program that writes to a closed pipe."""

_DISTRIBUTION = "tidegate"
_EXTRAS = {"tidegate_injector": "operator"}
"""Packages and their extras, where the names differ."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; `argv` defaults to the process's own. Returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    own = _own_commands()
    # Reading one distribution's entry points takes a millisecond, those of all some fifty.
    is_own = bool(argv) and argv[0] in {entry.name for entry in own}
    return run(argv, own if is_own else entry_points(group=ENTRY_POINT_GROUP))


def run(argv: Sequence[str], commands: Iterable[EntryPoint]) -> int:
    """The same with the subcommands given."""
    by_name = {entry.name: entry for entry in sorted(commands, key=lambda entry: entry.name)}
    if argv and argv[0] == "help":
        argv = [*argv[1:], "--help"]
    word = argv[0] if argv and not argv[0].startswith("-") else None
    if word is not None and word not in by_name:
        return _fail(f"tidegate: {_unknown(word, by_name)}", EXIT_USAGE)
    chosen = None if word is None else by_name[word]
    try:
        # Only the chosen subcommand is imported; the help needs the summaries of all.
        parser = _parser(by_name.values() if chosen is None else [chosen])
        arguments = parser.parse_args(argv)
        if not hasattr(arguments, "command"):
            parser.print_help()
            return EXIT_USAGE
        command: Command = arguments.command
        status = command.run(arguments)
        if sys.stdout is not None:
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


def _own_commands() -> list[EntryPoint]:
    try:
        found = distribution(_DISTRIBUTION).entry_points
    except PackageNotFoundError:
        return []
    return [entry for entry in found if entry.group == ENTRY_POINT_GROUP]


def _parser(commands: Iterable[EntryPoint]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tidegate",
        description="Rolling updates your SSE clients don't feel.",
        epilog="tidegate help COMMAND shows the help of one command.",
    )
    _add_version(parser)
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
        _add_version(subparser)
        command.add_arguments(subparser)
        subparser.set_defaults(command=command)
    return parser


def _add_version(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--version", action="version", version=f"tidegate {__version__}")


class _Missing:
    """Stands for a subcommand that needs an extra which is not installed."""

    def __init__(self, entry: EntryPoint, error: ModuleNotFoundError) -> None:
        self._entry = entry
        self._error = error

    def run(self, _: argparse.Namespace) -> int:
        return _fail(f"tidegate {self._entry.name}: {_remedy(self._entry, self._error)}", 2)


def _unknown(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return f"{word!r} is not a command; {hint}"


def _remedy(entry: EntryPoint, error: ModuleNotFoundError) -> str:
    """The line that installs what is missing, from where Tidegate itself was installed."""
    package = entry.module.partition(".")[0]
    extra = _EXTRAS.get(package, package.removeprefix("tidegate_"))
    return f"{error.name} is not installed: {install_line(extra, _checkout())}"


def install_line(extra: str, checkout: str | None) -> str:
    """The command that adds `extra` to the installation of a `checkout`, or of a release."""
    source = f"'tidegate[{extra}]'" if checkout is None else f"-e '{checkout}[{extra}]'"
    return f"{sys.executable} -m pip install {source}"


def _checkout() -> str | None:
    """The folder of an editable install (PEP 610), which a package index knows nothing of."""
    try:
        text = distribution(_DISTRIBUTION).read_text("direct_url.json")
    except PackageNotFoundError:
        return None
    origin = json.loads(text or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return url2pathname(urlsplit(origin["url"]).path)


def _is_ours(module: str | None) -> bool:
    """Whether the missing module is part of the distribution, which no extra can mend."""
    return (module or "tidegate").partition(".")[0].partition("_")[0] == "tidegate"


def _fail(message: str, status: int) -> int:
    if message and sys.stderr is not None:
        sys.stderr.write(message + "\n")
    return status


def _silence_stdout() -> None:
    """Give the interpreter somewhere to flush to, so that it does not complain at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
