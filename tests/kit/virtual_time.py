"""An event loop in virtual time: where nothing is left to do, its clock jumps to the next timer.

A test on it takes no time, and sees every timer at its very moment, however busy the machine is.
Connections work as long as both their ends are on this loop: what one end has written to a socket
on loopback the other can read at once. Processes and threads have a time of their own.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` are virtual seconds from 1000 on; parts that take a clock are given `time`."""

    def __init__(self) -> None:
        selector = _JumpingSelector()
        super().__init__(selector)
        self._jumping = selector

    def time(self) -> float:
        return self._jumping.now_s


class _JumpingSelector(selectors.DefaultSelector):
    """Waits by moving its clock; only where no timer is set does it wait for real."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, Any]]:
        if timeout is None:
            return super().select(None)
        ready = super().select(0)
        if not ready:
            self.now_s += max(timeout, 0.0)
        return ready
