"""A setting that is declared, parsed and documented, and then not read by anything, is a lie."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from tidegate.contract.proxy import ProxySettings
from tidegate.contract.settings import groups
from tidegate.contract.sidecar import SidecarSettings
from tidegate_injector.settings import InjectorSettings
from tidegate_operator.kube.settings import OperatorSettings

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = (SidecarSettings, ProxySettings, OperatorSettings, InjectorSettings)
FOLDERS = ("core/src", "process/src", "sidecar/src", "operator/src")
MODULES = tuple(
    ast.parse(path.read_text()) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")
)
FIELDS = sorted(
    {(group, field.name, program.__name__) for program in PROGRAMS for group in groups(program)
     for field in fields(group) if field.metadata},
    key=lambda found: (found[0].__name__, found[1], found[2]),
)  # fmt: skip


def names_of(module: ast.Module) -> set[str]:
    """Classes that the module imports or defines, and functions that it defines."""
    imported = {a.name for n in ast.walk(module) if isinstance(n, ast.ImportFrom) for a in n.names}
    own = (ast.ClassDef, ast.FunctionDef)
    return imported | {node.name for node in module.body if isinstance(node, own)}


def accesses(node: ast.AST) -> Iterator[str]:
    """Attributes that are read, except in the checks of a declaration."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef) and child.name == "problems":
            continue
        if isinstance(child, ast.Attribute) and isinstance(child.ctx, ast.Load):
            yield child.attr
        yield from accesses(child)


RUNS_EVERY_PROGRAM = "run_program"
"""Reads the settings of any program by their shape, not by their class."""

READ = tuple((names_of(module), set(accesses(module))) for module in MODULES)


@pytest.mark.parametrize(
    ("group", "field", "program"), FIELDS, ids=lambda v: getattr(v, "__name__", v)
)
def test_a_declared_setting_is_read(group: type[Any], field: str, program: str) -> None:
    """In a module that knows the group, its base or the program's settings: names may repeat."""
    knows = {base.__name__ for base in group.__mro__[:-1]} | {program, RUNS_EVERY_PROGRAM}
    readers = [read for names, read in READ if names & knows]
    assert any(field in read for read in readers), f"nothing reads {group.__name__}.{field}"
