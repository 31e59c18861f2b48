"""``python -m bench.mutants [ROOM ...]``: changes the core and counts the changes that tests miss.

mutmut copies a room of the core, changes one comparison, operator, number or branch at a time, and
runs the tests that reach it. A survivor is a line whose fault no test would notice. The copy stands
in ``.mutants/ROOM`` as a project of its own: mutmut expects ``src/`` beside ``tests/``. A room is
judged by the tests that `ROOMS` lists for it, as others would only pass through it by chance.

Not counted are texts for people: a statement that begins with ``raise`` and a line that is nothing
but a string with spaces are not changed. The condition before them is. Left out are tests that time
the interpreter (`TIMED`), which mutmut slows down.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".mutants"
ROOMS = {
    "contract": (
        "contract",
        "process/test_reading_settings.py",
        "stream/test_acknowledged.py",
        "stream/test_reading_requests.py",
    ),
    "drain": ("drain",),
    "rollout": ("rollout",),
    "score": ("score",),
    "stream": ("stream",),
    "wire": ("wire",),
    "injection": ("injection",),
}
"""The rooms of the core, each with the folders and files of its tests."""

GOAL_SHARE = 0.9
SURVIVED, NO_TEST = 0, 33  # mutmut's exit codes
TIMED = "milliseconds"
"""In the names of the tests that are left out."""

EXAMPLES = """

# A mutant runs the same few examples as the last one: nothing is killed or survives by chance.
settings.register_profile(
    "mutants", settings.get_profile("any-machine"), max_examples=15, derandomize=True, database=None
)
settings.load_profile("mutants")
"""
PROJECT = """\
[tool.mutmut]
source_paths = ["src"]
only_mutate = ["src/tidegate/{room}/*"]
do_not_mutate_patterns = ['^\\s*raise\\b', '^\\s*(return )?f?"[^"]* [^"]*"[),]*$']
also_copy = ["charts", "process", "sidecar", "operator"]
pytest_add_cli_args = ["-p", "no:cacheprovider", "-k", "{tests}"]
pytest_add_cli_args_test_selection = {selection}
process_isolation = "fork"

[tool.pytest.ini_options]
pythonpath = ["tests", "src"]
addopts = ["--import-mode=importlib", "--strict-markers"]
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "function"
timeout = 120
"""


def main() -> int:
    """Run the mutants and print the survivors; 0 if at least `GOAL_SHARE` were killed."""
    arguments = _parser().parse_args()
    killed = total = 0
    for room in arguments.rooms or ROOMS:
        codes = run(room, arguments.sample, arguments.seed, arguments.max_children)
        survivors = sorted(name for name, code in codes.items() if code in (SURVIVED, NO_TEST))
        for name in survivors:
            print(f"survived: cd {WORK.name}/{room} && python -m mutmut show {name}")
        print(_share(room, len(codes) - len(survivors), len(codes)))
        killed, total = killed + len(codes) - len(survivors), total + len(codes)
    print(f"{_share('all', killed, total)}, goal {GOAL_SHARE:.0%}")
    return 0 if killed >= GOAL_SHARE * total else 1


def run(room: str, count: int | None, seed: int, max_children: int) -> dict[str, int | None]:
    """Run `count` random mutants of `room`, or all where it is None; mutmut's exit code of each."""
    folder = prepare(room)
    _mutmut(folder, "tidegate.none.x_none__mutmut_1")  # makes the mutants and finds their tests
    names = sorted(verdicts(folder))
    if count is not None:
        names = random.Random(seed).sample(names, min(count, len(names)))
    _mutmut(folder, "--max-children", str(max_children), *names)
    codes = {name: code for name, code in verdicts(folder).items() if name in names}
    if not names or None in codes.values():
        raise SystemExit(f"{room}: mutmut has not run the mutants, see its output above")
    return codes


def prepare(room: str) -> Path:
    """Lay out the copy: the core as ``src/``, the tests of `room` and the kit as ``tests/``."""
    folder = WORK / room
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "core/src/tidegate", folder / "src/tidegate")
    for name in ("kit", "vectors", *{Path(test).parts[0] for test in ROOMS[room]}):
        shutil.copytree(ROOT / "tests" / name, folder / "tests" / name)
    conftest = (ROOT / "tests/conftest.py").read_text()
    (folder / "tests/conftest.py").write_text(conftest + EXAMPLES)
    selection = json.dumps([f"tests/{test}" for test in ROOMS[room]])
    project = PROJECT.format(room=room, tests=f"not {TIMED}", selection=selection)
    (folder / "pyproject.toml").write_text(project)
    return folder


def verdicts(folder: Path) -> dict[str, int | None]:
    """Exit code per mutant as mutmut keeps it; None where it was not run."""
    found: dict[str, int | None] = {}
    for meta in (folder / "mutants/src").rglob("*.meta"):
        found |= json.loads(meta.read_text())["exit_code_by_key"]
    return found


def _mutmut(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "mutmut", "run", *arguments]
    subprocess.run(command, cwd=folder, check=False)


def _share(name: str, killed: int, total: int) -> str:
    return f"{name}: {killed} of {total} mutants killed ({killed / max(total, 1):.1%})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.mutants", description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"of {', '.join(ROOMS)}")
    parser.add_argument("--sample", type=int, help="how many of each room (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (default 1)")
    parser.add_argument("--max-children", type=int, default=2, help="processes (default 2)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
