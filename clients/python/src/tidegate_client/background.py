"""Work beside the caller's, under asyncio and under trio.

On trio all of it lives in a task group that the client's ``async with`` opens. asyncio knows tasks
without a group: there the client may be entered and left in different tasks (as test fixtures and
web frameworks do), and an error of the block arrives as it is, not in an exception group.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from anyio.abc import TaskGroup


class Pulse:
    """Wakes all that wait at the moment. Costs nothing while none does."""

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    def send(self) -> None:
        """Wake them."""
        event, self._event = self._event, None
        if event is not None:
            event.set()

    async def wait(self) -> None:
        """Wait for the next `send`."""
        if self._event is None:
            self._event = anyio.Event()
        await self._event.wait()


class Work:
    """One piece of work in the background."""

    def __init__(self) -> None:
        self.task_id: int | None = None
        self._scope: anyio.CancelScope | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """End it; the piece that calls this is left to end by itself."""
        if self.task_id is None or self.task_id != _task_id():
            self._cancelled = True
            if self._scope is not None:
                self._scope.cancel()

    async def run(self, work: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Do it, in the task that it is given."""
        self.task_id = _task_id()
        with anyio.CancelScope() as self._scope:
            if not self._cancelled:
                await work(*args)


class Background:
    """The pieces of work of one client."""

    def __init__(self) -> None:
        self._group: TaskGroup | None = None
        self._running: set[Work] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended = Pulse()

    async def open(self) -> None:
        """Get ready, where the event loop has no tasks without a group."""
        if not _on_asyncio():
            self._group = anyio.create_task_group()
            await self._group.__aenter__()

    async def close(self, last: Callable[[], Awaitable[None]]) -> None:
        """Do the `last` thing, end what runs and wait for it, also in a scope that is cancelled.

        To be called where `open` was.
        """
        with anyio.CancelScope(shield=True):
            await last()
            await self.stop()
        group, self._group = self._group, None
        if group is not None:
            group.cancel_scope.cancel()
            await group.__aexit__(None, None, None)

    def check(self) -> None:
        """Raise `RuntimeError` where no work can be started."""
        if self._group is None and not _on_asyncio():
            raise RuntimeError("under trio a client must be used in a block: 'async with client'")

    def start(self, work: Callable[..., Awaitable[None]], *args: Any) -> Work:
        """Begin a piece of work. Raises as `check` does."""
        self.check()
        piece = Work()
        if self._group is not None:
            self._group.start_soon(self._run, piece, work, *args)
        else:
            task = asyncio.create_task(self._run(piece, work, *args))
            self._tasks.add(task)  # the loop itself holds tasks weakly
            task.add_done_callback(self._tasks.discard)
            # A task that is cancelled before its first step never runs.
            task.add_done_callback(lambda _: self._forget(piece))
        self._running.add(piece)
        return piece

    async def stop(self) -> None:
        """End everything but the caller, and wait until it has ended."""
        own = _task_id()
        others = {piece for piece in self._running if own is None or piece.task_id != own}
        for piece in others:
            piece.cancel()
        while others & self._running:
            await self._ended.wait()

    async def _run(self, piece: Work, work: Callable[..., Awaitable[None]], *args: Any) -> None:
        try:
            await piece.run(work, *args)
        finally:
            self._forget(piece)

    def _forget(self, piece: Work) -> None:
        self._running.discard(piece)
        self._ended.send()


class Timer:
    """Calls `ring` when it is due, and perhaps too early: it is moved only to earlier times.

    A stream's watchdog moves back with every byte; looking again now and then is cheaper. Times are
    those of the client's own `clock`, in seconds.
    """

    def __init__(
        self, background: Background, clock: Callable[[], float], ring: Callable[[], None]
    ) -> None:
        self._background = background
        self._clock = clock
        self._ring = ring
        self._at_s = math.inf
        self._scope: anyio.CancelScope | None = None
        self._started = False

    def set(self, at_s: float) -> None:
        """Ring at this time at the latest; infinity: no need."""
        if at_s >= self._at_s:
            return
        self._at_s = at_s
        if self._scope is not None:
            self._scope.deadline = self._deadline()
        if not self._started:
            self._started = True
            self._background.start(self._keep_time)

    def _deadline(self) -> float:
        return _loop_time_s() + max(0.0, self._at_s - self._clock())

    async def _keep_time(self) -> None:
        try:
            while True:
                with anyio.CancelScope(deadline=self._deadline()) as self._scope:
                    await anyio.sleep_forever()
                self._at_s = math.inf
                self._ring()
        finally:
            self._scope, self._at_s, self._started = None, math.inf, False


# anyio sees an event loop only from within a task. A callback of asyncio's loop (a signal handler,
# `call_later`) is none, and may reconnect or wake a client all the same.


def _on_asyncio() -> bool:
    try:
        return anyio.get_cancelled_exc_class() is asyncio.CancelledError
    except anyio.NoEventLoopError:
        return bool(asyncio.get_running_loop())


def _loop_time_s() -> float:
    try:
        return anyio.current_time()
    except anyio.NoEventLoopError:
        return asyncio.get_running_loop().time()


def _task_id() -> int | None:
    """The running task; ``None`` in a callback of the event loop, which is none."""
    with contextlib.suppress(RuntimeError, AttributeError):
        return anyio.get_current_task().id
    return None
