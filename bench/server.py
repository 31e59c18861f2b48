"""The server under test: the engine behind uvicorn, with a publisher driven over standard input.

One JSON command per line, one JSON answer per line: ``saturate`` appends one event per turn of
the loop, ``pace`` at a rate, ``fill`` appends to one topic, ``stats``
tells the counters. With a directory of keys as argument it asks for tokens.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

from bench.child import serve
from tidegate.auth.guard import Guard
from tidegate.contract.auth_settings import AuthSettings
from tidegate.contract.publish import To
from tidegate.contract.stream_settings import Limits, StreamSettings
from tidegate.stream.log import EventLog, LogEntry
from tidegate_sidecar.engine import Engine, tune_listener

EVENT_BYTES = 100
"""The size of an event's data."""

MUTABLE_CLIENT = "mutable"
"""The client whose streams will not be read."""

AUDIENCE = "bench"
"""Of the tokens that are taken."""

_EVERYONE = To(everyone=True)


class Publisher:
    """Appends events; positions have seven digits, so that every event has the same size."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seqs = itertools.count(1_000_001)

    async def saturate(self, seconds: float) -> int:
        """One event per turn of the loop, for `seconds`; returns how many."""
        end = time.monotonic() + seconds
        count = 0
        while time.monotonic() < end:
            self._engine.reader.append(self._stamped())
            count += 1
            await asyncio.sleep(0)
        await self._engine.reader.caught_up()
        return count

    async def pace(self, seconds: float, rate_per_s: float) -> int:
        """`rate_per_s` events per second, for `seconds`; returns how many."""
        start = time.monotonic()
        count = int(seconds * rate_per_s)
        for number in range(count):
            await asyncio.sleep(start + number / rate_per_s - time.monotonic())
            self._engine.reader.append(self._stamped())
        return count

    async def fill(self, topic: str, total_bytes: int) -> int:
        """`total_bytes` for the streams of `topic`, in large events; returns how many."""
        size = 4096
        for _ in range(total_bytes // size):
            self._engine.reader.append(LogEntry(next(self._seqs), To(topics=(topic,)), "x" * size))
            await self._engine.reader.caught_up()
        return total_bytes // size

    def _stamped(self) -> LogEntry:
        data = f'{{"ns":{time.monotonic_ns():020d}'
        return LogEntry(next(self._seqs), _EVERYONE, data.ljust(EVENT_BYTES - 1, " ") + "}")


async def _answer(engine: Engine, publisher: Publisher, command: dict[str, Any]) -> Any:
    do = command.pop("do")
    if do == "stats":
        lagging = sum(stream.lagging for stream in engine.streams_of(MUTABLE_CLIENT))
        return dict(engine.counters, open=engine.open_count, lagging=lagging)
    verbs: dict[str, Callable[..., Awaitable[int]]] = {
        "saturate": publisher.saturate,
        "pace": publisher.pace,
        "fill": publisher.fill,
    }
    return await verbs[do](**command)


def _guard(directories: list[str], limits: Limits) -> Guard | None:
    if not directories:
        return None
    # As in the sidecar: without authentication its libraries are not loaded.
    from tidegate_sidecar.auth.service import Authentication

    settings = AuthSettings(mode="jwt", keys=directories[0], audience=AUDIENCE)
    return Authentication(settings, (), limits.max_streams).guard


async def _main() -> None:
    loop = asyncio.get_running_loop()
    log = EventLog("bench", 1_000_000)
    limits = Limits(max_streams=100_000, max_streams_per_client=100_000)
    engine = Engine(
        StreamSettings(),
        limits,
        log,
        pod_name="bench-0",
        clock=time.monotonic,
        loop=loop,
        guard=_guard(sys.argv[1:], limits),
    )
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    tune_listener(listener, 60.0)
    publisher = Publisher(engine)
    engine.start()
    await serve(
        engine.asgi_app,
        listener,
        lambda command: _answer(engine, publisher, command),
        http=engine.protocol_class(),
    )
    engine.stop()


if __name__ == "__main__":
    uvloop.run(_main())
