"""The layout keeps its promises."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_nothing_in_the_operator_folder_shadows_the_standard_library() -> None:
    assert [p.name for p in (ROOT / "operator").glob("*.py")] == []


def test_every_make_verb_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    readme = (ROOT / "README.md").read_text()
    verbs = {line.split()[1] for line in readme.splitlines() if line.startswith("    make ")}
    assert verbs
    assert all(f"\n{verb}:" in makefile for verb in verbs)
