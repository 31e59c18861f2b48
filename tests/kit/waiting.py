"""Waiting for a condition: the one way a test waits for something that another task does.

The bound is only there so that a broken program ends the test; no verdict hangs on it, so it is
generous enough for a machine that is busy with other things.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

WITHIN_S = 30.0


async def until(
    holds: Callable[..., object | Awaitable[object]],
    within_s: float = WITHIN_S,
    every_s: float = 0.005,
) -> None:
    """Ask every `every_s` seconds until the answer, which may be awaitable, is true.

    Raises `TimeoutError` after `within_s` seconds.
    """
    async with asyncio.timeout(within_s):
        while True:
            answer = holds()
            if inspect.isawaitable(answer):
                answer = await answer
            if answer:
                return
            await asyncio.sleep(every_s)
