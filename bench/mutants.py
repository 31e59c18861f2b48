"""``python -m bench.mutants [ROOM ...]``: changes the core and counts the changes that tests miss.

mutmut copies a room of the core, changes one comparison, operator, number or branch at a time, and
runs the tests that reach it. A survivor is a line whose fault no test would notice. The copy stands
in ``.mutants/`` as a project of its own: mutmut expects ``src/`` beside ``tests/``.
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
ROOMS = ("drain", "rollout", "score", "stream", "wire", "injection")
GOAL_SHARE = 0.9
KILLED, SURVIVED, NO_TEST = (1, 3, 36, 24, -24, 152, 255), 0, 33  # mutmut's exit codes
PROJECT = """\
[tool.mutmut]
source_paths = ["src"]
only_mutate = {patterns}
also_copy = ["charts", "process", "sidecar", "operator"]
pytest_add_cli_args = ["-p", "no:cacheprovider"]
pytest_add_cli_args_test_selection = {tests}
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
    rooms = tuple(arguments.rooms) or ROOMS
    prepare(rooms)
    names = sample(rooms, arguments.sample, arguments.seed)
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", "2", *names]
    subprocess.run(command, cwd=WORK, check=False)
    codes = verdicts(names)
    survivors = sorted(name for name, code in codes.items() if code in (SURVIVED, NO_TEST))
    for name in survivors:
        print(f"survived: {name}")
    killed = len(codes) - len(survivors)
    share = killed / len(codes) if codes else 0.0
    print(f"{killed} of {len(codes)} mutants killed ({share:.1%}, goal {GOAL_SHARE:.0%})")
    print(f"a survivor's change: cd {WORK.name} && python -m mutmut show NAME")
    return 0 if share >= GOAL_SHARE else 1


def prepare(rooms: tuple[str, ...]) -> None:
    """Lay out the copy: the core as ``src/``, the tests of `rooms` and the kit as ``tests/``."""
    shutil.rmtree(WORK, ignore_errors=True)
    shutil.copytree(ROOT / "core/src/tidegate", WORK / "src/tidegate")
    for name in ("kit", *rooms):
        shutil.copytree(ROOT / "tests" / name, WORK / "tests" / name)
    shutil.copytree(ROOT / "tests/vectors", WORK / "tests/vectors")
    shutil.copy(ROOT / "tests/conftest.py", WORK / "tests/conftest.py")
    patterns = json.dumps([f"src/tidegate/{room}/*" for room in rooms])
    tests = json.dumps([f"tests/{room}" for room in rooms])
    (WORK / "pyproject.toml").write_text(PROJECT.format(patterns=patterns, tests=tests))


def sample(rooms: tuple[str, ...], count: int | None, seed: int) -> list[str]:
    """The names of `count` random mutants of `rooms`, or none for all of them."""
    if count is None:
        return []
    subprocess.run(  # makes the mutants and finds their tests; runs one mutant that is not there
        [sys.executable, "-m", "mutmut", "run", "tidegate.none.x_none__mutmut_1"],
        cwd=WORK,
        check=False,
    )
    names = sorted(verdicts([], every=True))
    return random.Random(seed).sample(names, min(count, len(names)))


def verdicts(names: list[str], *, every: bool = False) -> dict[str, int | None]:
    """Exit code per mutant as mutmut keeps it: of `names`, or of all that were run."""
    found: dict[str, int | None] = {}
    for meta in (WORK / "mutants/src").rglob("*.meta"):
        found |= json.loads(meta.read_text())["exit_code_by_key"]
    if names:
        return {name: found[name] for name in names}
    return found if every else {name: code for name, code in found.items() if code is not None}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.mutants", description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"of {', '.join(ROOMS)}")
    parser.add_argument("--sample", type=int, help="how many mutants, at random (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (default 1)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
