"""The lab's child processes, and the promise that none outlives it.

Each child gets a process group of its own (a terminal's Ctrl-C reaches only the lab, which then
ends them in order) and, on Linux, the parent-death signal: even a SIGKILL of the lab takes them
along (prctl(2), PR_SET_PDEATHSIG). What a child writes to stderr goes to a file, whose end is the
explanation when it dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tidegate_lab.errors import LabError

_PR_SET_PDEATHSIG = 1
MAX_LINE_BYTES = 256 * 1024 * 1024
"""A child's line may hold everything 10,000 clients have seen."""

START_TIMEOUT_S = 60.0

INSTRUMENT_NICENESS = -10


class Process:
    """One child: its JSON lines, its signals, its end."""

    def __init__(self, name: str, child: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self._child = child
        self._log = log

    @property
    def pid(self) -> int:
        """The child's process id, which is also its group's."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether it has not been seen to end."""
        return self._child.returncode is None

    async def lines(self) -> AsyncIterator[dict[str, Any]]:
        """The JSON objects it prints, until it closes its output; other lines are skipped."""
        assert self._child.stdout is not None
        async for line in self._child.stdout:
            with contextlib.suppress(ValueError):
                value = json.loads(line)
                if isinstance(value, dict):
                    yield value

    async def listening(self) -> dict[str, Any]:
        """Its ``{"event": "listening", ..}`` line; raises `LabError` if it ends or takes long."""
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                async for line in self.lines():
                    if line.get("event") == "listening":
                        return line
        except TimeoutError:
            raise LabError(
                f"{self.name} did not start within {START_TIMEOUT_S:g} s{self.last_words()}"
            ) from None
        raise LabError(f"{self.name} ended while starting{self.last_words()}")

    async def tell(self, value: Mapping[str, Any]) -> None:
        """Write one JSON line to its input; a child that is gone is not an error here."""
        assert self._child.stdin is not None
        with contextlib.suppress(ConnectionError):
            self._child.stdin.write(json.dumps(value, separators=(",", ":")).encode() + b"\n")
            await self._child.stdin.drain()

    def go_first(self) -> None:
        """Let it run before the others: it measures, and what it is late by it would measure, too.

        Only root may; an ordinary user measures without.
        """
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, self.pid, INSTRUMENT_NICENESS)

    def terminate(self) -> None:
        """SIGTERM, to the child alone."""
        with contextlib.suppress(ProcessLookupError):
            self._child.terminate()

    def kill(self) -> None:
        """SIGKILL, to its whole group."""
        if self.running:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    async def wait(self) -> int:
        """Wait for its end; returns the exit status."""
        return await self._child.wait()

    def last_words(self) -> str:
        """The end of its stderr as ``: ...``, empty when it wrote nothing."""
        with contextlib.suppress(OSError):
            text = self._log.read_text(errors="replace").strip()
            if text:
                return ": " + " | ".join(text.splitlines()[-3:])
        return ""


class ProcessGroup:
    """All children of one lab and its scratch directory; leaving it ends both."""

    def __init__(self) -> None:
        self._children: list[Process] = []
        self.directory = Path()

    async def __aenter__(self) -> ProcessGroup:
        self.directory = Path(tempfile.mkdtemp(prefix="tidegate-lab-"))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for child in self._children:
            child.kill()
        await asyncio.gather(*[child.wait() for child in self._children])
        shutil.rmtree(self.directory, ignore_errors=True)

    async def start(
        self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None
    ) -> Process:
        """Start a child. `env` is added to this process's environment."""
        log = self.directory / f"{name}.log"
        with log.open("wb") as stderr:
            child = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, **(env or {})},
                limit=MAX_LINE_BYTES,
                process_group=0,
                preexec_fn=_die_with(os.getpid()),
            )
        process = Process(name, child, log)
        self._children.append(process)
        return process


def _die_with(parent: int) -> Callable[[], None] | None:
    """What the child does before its program starts: ask to be killed with `parent`."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return ask
