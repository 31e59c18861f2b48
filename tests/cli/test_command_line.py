"""The thin command: finding subcommands, saying what is missing, exit statuses."""

from __future__ import annotations

import argparse
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from tidegate import __version__
from tidegate.contract.command import ENTRY_POINT_GROUP, Command
from tidegate.contract.errors import MissingToolError
from tidegate_cli.main import install_line, main, run

CHECKOUT = Path(__file__).parents[2]
MODULE = "tidegate_cli_test_commands"
Capture = pytest.CaptureFixture[str]
Make = Callable[[Callable[[argparse.Namespace], int]], list[EntryPoint]]


@pytest.fixture
def command() -> Iterator[Make]:
    """Make a subcommand `work` that runs a function, as an entry point that can be loaded."""
    module = types.ModuleType(MODULE)

    def make(work: Callable[[argparse.Namespace], int]) -> list[EntryPoint]:
        def add_arguments(parser: argparse.ArgumentParser) -> None:
            parser.add_argument("--status", type=int, default=0)

        module.COMMAND = Command("does work", add_arguments, work)  # type: ignore[attr-defined]
        return [EntryPoint("work", f"{MODULE}:COMMAND", ENTRY_POINT_GROUP)]

    sys.modules[MODULE] = module
    yield make
    del sys.modules[MODULE]


def raising(error: BaseException) -> Callable[[argparse.Namespace], int]:
    def work(_: argparse.Namespace) -> int:
        raise error

    return work


def test_a_subcommand_gets_its_arguments_and_gives_the_status(command: Make) -> None:
    assert run(["work", "--status", "7"], command(lambda a: int(a.status))) == 7


def test_a_tidegate_error_is_one_line_and_two(command: Make, capsys: Capture) -> None:
    assert run(["work"], command(raising(MissingToolError("get it there")))) == 2
    assert capsys.readouterr().err == "tidegate: get it there\n"


def test_interrupt_is_130(command: Make) -> None:
    assert run(["work"], command(raising(KeyboardInterrupt()))) == 130


def test_a_missing_extra_says_the_line_that_installs_it(command: Make, capsys: Capture) -> None:
    missing = ModuleNotFoundError("No module named 'rich'", name="rich")
    lab = [EntryPoint("demo", "tidegate_lab.nowhere:COMMAND", ENTRY_POINT_GROUP)]
    assert run(["work"], command(raising(missing))) == 2
    assert "rich is not installed: " in capsys.readouterr().err
    assert run(["demo"], lab) == 2
    assert f"-m pip install -e '{CHECKOUT}[lab]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("package", "extra"),
    [("tidegate_injector", "operator"), ("tidegate_operator", "operator"), ("tidegate_lab", "lab")],
)
def test_an_extra_may_have_another_name_than_the_package(
    package: str, extra: str, capsys: Capture
) -> None:
    assert run(["x"], [EntryPoint("x", f"{package}.nowhere:COMMAND", ENTRY_POINT_GROUP)]) == 2
    assert f"[{extra}]" in capsys.readouterr().err


def test_outside_a_checkout_the_release_is_named() -> None:
    assert install_line("lab", None).endswith("-m pip install 'tidegate[lab]'")


def test_a_mistyped_command_is_told_from_an_argument(command: Make, capsys: Capture) -> None:
    assert run(["wrok", "work"], command(lambda _: 0)) == 2
    assert "'wrok' is not a command; did you mean work?" in capsys.readouterr().err
    assert run(["zzz"], command(lambda _: 0)) == 2
    assert "there are work" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["help", "work"], ["work", "--help"]])
def test_the_help_of_one_command(argv: list[str], command: Make, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as end:
        run(argv, command(lambda _: 0))
    assert end.value.code == 0
    assert "--status" in capsys.readouterr().out


def test_every_program_is_a_command_with_a_version(capsys: Capture) -> None:
    for name in ("sidecar", "token", "operator", "injector", "readmit", "demo", "simulate"):
        with pytest.raises(SystemExit) as end:
            main([name, "--version"])
        assert end.value.code == 0
        assert capsys.readouterr().out == f"tidegate {__version__}\n"


def test_help_lists_also_what_cannot_be_loaded(command: Make, capsys: Capture) -> None:
    absent = EntryPoint("gone", "no_such_package_anywhere.x:COMMAND", ENTRY_POINT_GROUP)
    with pytest.raises(SystemExit) as end:
        run(["--help"], [*command(lambda _: 0), absent])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "does work" in text
    assert "pip install" in text


def test_without_a_subcommand_the_help_is_shown_and_the_status_is_two(
    command: Make, capsys: Capture
) -> None:
    assert run([], command(lambda _: 0)) == 2
    assert "does work" in capsys.readouterr().out


def test_version(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"tidegate {__version__}\n"


def test_the_help_of_the_demo_imports_nothing_heavy() -> None:
    probe = (
        "import sys; from tidegate_cli.main import main\n"
        "try: main(['demo', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'rich', 'httpx2', 'uvicorn', 'starlette', 'nats'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def test_a_reader_that_leaves_is_no_traceback() -> None:
    probe = (
        "import sys; from tidegate_cli.main import run\n"
        "from importlib.metadata import EntryPoint\n"
        "import types\n"
        "from tidegate.contract.command import Command\n"
        "def work(a):\n"
        "    for n in range(100000): print('x' * 100)\n"
        "    return 0\n"
        "m = types.ModuleType('m'); m.C = Command('s', lambda p: None, work)\n"
        "sys.modules['m'] = m\n"
        "sys.exit(run(['work'], [EntryPoint('work', 'm:C', 'g')]))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", probe], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.readline()
    child.stdout.close()
    said = child.stderr.read()
    child.stderr.close()
    assert child.wait(timeout=30) == 141
    assert said == b""
