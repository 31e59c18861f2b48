"""A wave of clients at a pod with a limited rate: real sockets, both ways in."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any

from engine.enginekit import Served, serving

from tidegate.contract.stream_settings import Limits
from tidegate.score.measures import peak_in_window, percentile

Run = Callable[[Any], None]

RATE_PER_S = 50.0
CLIENTS = 200


class Pace:
    """The control: a task that only sleeps, and so sees how much longer everything takes here."""

    STEP_S = 0.01

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._steps = 0
        self._began_s = time.monotonic()

    async def keep(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(self.STEP_S)
            self._steps += 1
            self.longest_s = max(self.longest_s, time.monotonic() - before)

    def slower_by(self) -> float:
        return (time.monotonic() - self._began_s) / (self._steps * self.STEP_S)


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connect(served: Served, held: list[asyncio.StreamWriter]) -> Connection:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    held.append(writer)
    return reader, writer


async def come_back(
    served: Served, name: int, connection: Connection, held: list[asyncio.StreamWriter]
) -> int:
    """As a native EventSource; returns the attempts it took. `held` gets its connections."""
    request = f"GET /sse/subscribe/{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    for attempt in range(1, 100):
        reader, writer = connection
        writer.write(request)
        answer = b""
        while b"event: connected" not in answer:
            piece = await reader.read(4096)
            if not piece:
                break
            answer += piece
        else:
            return attempt
        assert b"200 OK" in answer
        (retry_ms,) = re.findall(rb"retry: (\d+)\n", answer)
        await asyncio.sleep(int(retry_ms) / 1000)
        connection = await connect(served, held)
    raise AssertionError("sent away a hundred times")


def accepted_s(served: Served, name: int) -> float:
    (stream,) = served.engine.streams_of(str(name))
    return time.monotonic() - stream.age_s


def test_a_wave_is_back_at_the_rate_of_the_pod(run: Run, way: str) -> None:
    async def main() -> None:
        async with serving(limits=Limits(max_new_streams_per_s=RATE_PER_S), way=way) as served:
            # Connected before, so that all of them ask at once on a slow machine, too.
            held: list[asyncio.StreamWriter] = []
            connections = [await connect(served, held) for _ in range(CLIENTS)]
            pace = Pace()
            keeping = asyncio.create_task(pace.keep())
            began_s = time.monotonic()
            came = [come_back(served, name, open_, held) for name, open_ in enumerate(connections)]
            try:
                attempts = await asyncio.gather(*came)
                slower = pace.slower_by()
                back_s = [accepted_s(served, name) - began_s for name in range(CLIENTS)]
                t99_s = percentile(back_s, 0.99)
                assert t99_s is not None
                assert t99_s <= 1.3 * CLIENTS / RATE_PER_S * slower
                assert t99_s >= 0.9 * (CLIENTS / RATE_PER_S - 1.0), "the door has held them back"
                assert sum(attempts) / CLIENTS <= 2.1
                # A client that this process is late to send comes after its slot has gone.
                assert sum(n > 3 for n in attempts) <= 0.02 * CLIENTS
                # The tokens that a standstill of this process has kept are all taken at its end.
                most = 1.1 * RATE_PER_S + RATE_PER_S * pace.longest_s
                assert peak_in_window(back_s) <= most + 1
                assert served.engine.bounced_total["overloaded"] == sum(attempts) - CLIENTS
            finally:
                keeping.cancel()
                for writer in held:
                    writer.close()
                await asyncio.gather(*(w.wait_closed() for w in held), return_exceptions=True)

    run(main())
