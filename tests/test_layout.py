"""The layout keeps its promises."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
KIT = "kit"
FOLDERS = sorted(p.name for p in TESTS.iterdir() if any(p.glob("*.py")))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "."


def test_nothing_in_the_operator_folder_shadows_the_standard_library() -> None:
    assert [p.name for p in (ROOT / "operator").glob("*.py")] == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_of_tests_imports_only_from_itself_and_the_kit(folder: str) -> None:
    others = set(FOLDERS) - {folder, KIT}
    found = {
        f"{path.relative_to(TESTS)}: {name}"
        for path in (TESTS / folder).rglob("*.py")
        for name in imported(path)
        if name.partition(".")[0] in others
    }
    assert not found, "what several folders use belongs into tests/kit"


def test_every_package_is_in_the_wheel_the_sdist_the_checks_and_the_images() -> None:
    packages = {found.parent for found in ROOT.glob("[!.]*/**/src/*/py.typed")}
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
