"""Programs that only root can install: found, or the test is skipped with the command for it.

`SYSTEM_PROGRAMS` is the one list; the suite's last line names those that are missing.
"""

from __future__ import annotations

import os
import shutil

import pytest

SYSTEM_PROGRAMS = {"chromium": "chromium", "haproxy": "haproxy", "nginx": "nginx-light"}
"""Program and Debian package."""

INSTALL = "apt-get install --no-install-recommends"


def find_program(name: str) -> str | None:
    """The path of the program; Debian keeps some in a directory that only root's PATH has."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def require(name: str) -> str:
    """The path of the program; skips the test where there is none."""
    found = find_program(name)
    if found is None:
        pytest.skip(f"no {name}: {INSTALL} {SYSTEM_PROGRAMS[name]}")
    return found


def missing_packages() -> list[str]:
    """The packages of the programs that this machine lacks."""
    return [package for name, package in SYSTEM_PROGRAMS.items() if find_program(name) is None]
