"""The process under test, seen from the load generator: its line protocol, its core."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any


class Server:
    """The process under test and its line protocol."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        pin(self.process.pid, 0)

    def ask(self, **command: Any) -> None:
        """Send a command."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        """Wait for the next answer."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"bench: the server under test ended: {self.process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(10.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def pin(pid: int, index: int) -> None:
    """Keep a process on its own core, the `index`-th, where this machine has two."""
    cores = sorted(os.sched_getaffinity(0 if pid == os.getpid() else pid))
    if len(cores) >= 2:
        os.sched_setaffinity(pid, {cores[index]})
