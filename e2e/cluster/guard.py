"""A cluster that does not outlive who asked for it, whatever becomes of them.

A small process that no terminal's Ctrl-C reaches waits for the end of its standard input, which
comes when its parent ends, be it by SIGKILL, and then takes the cluster down.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.cluster.provider import Cluster
from e2e.cluster.providers import NAMES

ROOT = Path(__file__).parent.parent.parent
END_TIMEOUT_S = 60.0


@contextmanager
def running(cluster: Cluster, name: str, nodes: int) -> Iterator[Cluster]:
    """The cluster is up in the block and gone after it, after Ctrl-C and after a crash, too."""
    assert name in NAMES
    argv = [sys.executable, "-m", "e2e.cluster", "guard", "--provider", name]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, cwd=ROOT, start_new_session=True) as guard:
        try:
            cluster.up(nodes)
            yield cluster
        finally:
            cluster.down()
            assert guard.stdin is not None
            guard.stdin.close()
            guard.wait(END_TIMEOUT_S)
