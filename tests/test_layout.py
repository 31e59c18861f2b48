"""The layout keeps its promises."""

from __future__ import annotations

import ast
import tomllib
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


def test_every_package_is_in_the_wheel_the_sdist_the_checks_and_the_images() -> None:
    packages = {
        found.parent for found in ROOT.glob("**/src/*/py.typed") if ".venv" not in str(found)
    }
    sources = sorted({str(package.parent.relative_to(ROOT)) for package in packages})
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    build = project["hatch"]["build"]["targets"]
    assert {ROOT / path for path in build["wheel"]["packages"]} == packages
    included = tuple(build["sdist"]["include"])
    assert all(f"/{source}".startswith(included) for source in sources)
    assert set(sources) <= set(project["mypy"]["files"])
    assert set(sources) <= set(project["mypy"]["mypy_path"].split(":"))
    assert set(project["ruff"]["src"]) == set(sources)
    assert set(project["importlinter"]["root_packages"]) == {package.name for package in packages}
    for dockerfile in (ROOT / "images").glob("*/Dockerfile"):
        copied = dockerfile.read_text()
        assert all(f"\nCOPY {source} {source}\n" in copied for source in sources), dockerfile


def test_every_make_verb_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    readme = (ROOT / "README.md").read_text()
    verbs = {line.split()[1] for line in readme.splitlines() if line.startswith("    make ")}
    assert verbs
    assert all(f"\n{verb}:" in makefile for verb in verbs)
