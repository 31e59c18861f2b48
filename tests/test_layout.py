"""The layout keeps its promises."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "core" / "src"

PURE = {
    "__future__", "argparse", "bisect", "collections", "collections.abc", "copy", "dataclasses",
    "decimal", "difflib", "enum", "hashlib", "http", "itertools", "json", "math", "re", "typing",
    "urllib.parse",
}  # fmt: skip
"""What the core may use of the standard library: nothing that knows the time, chance or the world.
Of `argparse` it only names a type, of `http` the statuses."""


def test_nothing_in_the_operator_folder_shadows_the_standard_library() -> None:
    assert [p.name for p in (ROOT / "operator").glob("*.py")] == []


@pytest.mark.parametrize("module", sorted(CORE.rglob("*.py")), ids=lambda p: p.stem)
def test_the_core_imports_nothing_that_is_not_pure(module: Path) -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or ".")
    foreign = {name for name in imported if name.partition(".")[0] != "tidegate"}
    assert foreign <= PURE


def test_every_make_verb_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    readme = (ROOT / "README.md").read_text()
    verbs = {line.split()[1] for line in readme.splitlines() if line.startswith("    make ")}
    assert verbs
    assert all(f"\n{verb}:" in makefile for verb in verbs)
