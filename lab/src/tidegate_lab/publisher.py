"""The publisher and its ledger: what was acknowledged, for whom, and when.

It behaves as a back end behind a Service does: it talks to the apps of pods that are ready and not
being deleted, and what is not acknowledged is published again on another pod under the same
idempotency key. Only an acknowledged event enters the ledger.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2

from tidegate.contract.names import PATH_PUBLISH
from tidegate.contract.publish import Publish, To
from tidegate_lab.broker import LOOPBACK

TIMEOUT_S = 2.0
RETRY_S = 0.05
GIVE_UP_S = 20.0
FINISH_S = 1.0
EVENT_BYTES = 100


class Publisher:
    """Publishes at a steady rate. `apps` gives the ports of the apps that may be asked now."""

    def __init__(
        self, apps: Callable[[], list[int]], audiences: Iterator[To], rate_per_s: float, name: str
    ) -> None:
        self.ledger: list[tuple[int, Any, float]] = []
        self.unacknowledged = 0
        self.retried = 0
        self._apps = apps
        self._audiences = audiences
        self._rate_per_s = rate_per_s
        self._name = name
        self._random = random.Random(f"publisher {name}")
        self._in_flight: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Publish until cancelled; what is in flight then gets `FINISH_S`."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        number = 0
        # A pool with an end would be full of the timed out after an outage, and starve the others.
        endless = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(trust_env=False, timeout=TIMEOUT_S, limits=endless) as http:
            try:
                while True:
                    task = asyncio.create_task(self._publish(http, number))
                    self._in_flight.add(task)
                    task.add_done_callback(self._in_flight.discard)
                    number += 1
                    await asyncio.sleep(started_s + number / self._rate_per_s - loop.time())
            finally:
                # A connect that is cancelled at the wrong moment leaves its socket open.
                if self._in_flight:
                    await asyncio.wait(self._in_flight, timeout=FINISH_S)
                for task in self._in_flight:
                    task.cancel()
                await asyncio.gather(*self._in_flight, return_exceptions=True)

    async def _publish(self, http: httpx2.AsyncClient, number: int) -> None:
        to = next(self._audiences)
        data = json.dumps({"n": number, "at": time.time()}).ljust(EVENT_BYTES)
        event = Publish(to, data, key=f"{self._name}-{number}").to_json()
        clock = asyncio.get_running_loop().time
        give_up_s = clock() + GIVE_UP_S
        asked: int | None = None
        while clock() < give_up_s:
            asked = self._another_app(asked)
            sequence = None if asked is None else await _ask(http, asked, event)
            if sequence is not None:
                self.ledger.append((sequence, to.to_json(), time.monotonic()))
                return
            self.retried += 1
            await asyncio.sleep(RETRY_S)
        self.unacknowledged += 1

    def _another_app(self, asked: int | None) -> int | None:
        ports = self._apps()
        others = [port for port in ports if port != asked] or ports
        return self._random.choice(others) if others else None


async def _ask(http: httpx2.AsyncClient, port: int, event: dict[str, Any]) -> int | None:
    """The sequence number an app came back with; ``None`` if it did not acknowledge."""
    try:
        answer = await http.post(f"http://{LOOPBACK}:{port}{PATH_PUBLISH}", json=event)
        if answer.status_code != 202:
            return None
        return int(answer.json()["id"].rpartition("-")[2])
    except (httpx2.HTTPError, ValueError, KeyError):
        return None
