"""Simulated clients: an EventSource that comes back after its `retry:`.

A client is an index into a few lists. What it should have received is counted by cursor
intervals: while a stream is open its cursor follows the log, a new stream starts at the cursor
the old one ended with, and what the log no longer holds by then is lost.
"""

from __future__ import annotations

import random

from tidegate.score.deliveries import Deliveries
from tidegate.score.measures import StreamChange
from tidegate_lab.simulate.pods import SimulatedPod
from tidegate_lab.simulate.service import Service
from tidegate_lab.simulate.settings import STOCK_RETRY_S, Settings
from tidegate_lab.simulate.timeline import Timeline

CONNECT_S = (0.001, 0.010)
"""How long a connection takes from the choice of the pod to `connected`."""

RETAINED_EVENTS = 10_000


class Clients:
    """All clients of the fleet and what happened to them."""

    def __init__(
        self, settings: Settings, timeline: Timeline, rng: random.Random, service: Service
    ) -> None:
        n = settings.clients
        self._settings = settings
        self._timeline = timeline
        self._rng = rng
        self._service = service
        self._stray = [rng.random() < settings.strays for _ in range(n)]
        self._ended_s = [0.0] * n
        self._cursor = [0] * n
        self._started = [False] * n
        self._first = [0] * n
        self.moves = [0] * n
        self.arrivals_s: list[float] = []
        self.changes: list[StreamChange] = []
        self.offline_s: list[float] = []
        self.attempts = self.bounced = self.cut = self.failed_connects = 0
        self._received = self._lost = 0
        self.connected = 0
        """Clients that have a stream now."""

    def place(self, client: int, pod: SimulatedPod) -> None:
        """The client's first stream, before anything is measured."""
        pod.accept(client)
        self._open(client, pod)

    def join(self, client: int) -> None:
        """The client comes for the first time, by itself."""
        self._connect(client, STOCK_RETRY_S)

    def released(self, pod: SimulatedPod, client: int, retry_s: float | None) -> None:
        """A stream has ended: with a goodbye (its return time), or cut (``None``)."""
        now = self._timeline.now_s
        self.changes.append(StreamChange(now, pod.name, -1))
        self.connected -= 1
        self._receive(client)
        self._ended_s[client] = now
        self.cut += retry_s is None
        self._retry(client, STOCK_RETRY_S if retry_s is None else retry_s)

    def _retry(self, client: int, delay_s: float) -> None:
        self._timeline.after(delay_s, lambda: self._connect(client, delay_s))

    def _connect(self, client: int, retry_s: float) -> None:
        self.attempts += 1
        pod = self._service.choose(stray=self._stray[client])
        if pod is None or not pod.alive:
            self.failed_connects += 1
            self._retry(client, retry_s)
        else:
            took_s = self._rng.uniform(*CONNECT_S)
            self._timeline.after(took_s, lambda: self._arrive(client, pod, retry_s))

    def _arrive(self, client: int, pod: SimulatedPod, retry_s: float) -> None:
        if not pod.alive:
            self.failed_connects += 1
            self._retry(client, retry_s)
        elif not pod.accept(client):
            self.bounced += 1
            self._retry(client, pod.drain.streams.retry_base_ms / 1000)
        else:
            self._open(client, pod)

    def _open(self, client: int, pod: SimulatedPod) -> None:
        now = self._timeline.now_s
        self.changes.append(StreamChange(now, pod.name, 1))
        self.connected += 1
        head = self._head()
        if not self._started[client]:
            self._started[client] = True
            self._cursor[client] = self._first[client] = head
            return
        self.moves[client] += 1
        self.arrivals_s.append(now)
        self.offline_s.append(now - self._ended_s[client])
        missed = max(0, head - RETAINED_EVENTS - self._cursor[client])
        self._lost += missed
        self._cursor[client] += missed

    def _head(self) -> int:
        return int(self._timeline.now_s * self._settings.rate_per_s)

    def _receive(self, client: int) -> None:
        head = self._head()
        self._received += head - self._cursor[client]
        self._cursor[client] = head

    def deliveries(self, connected: set[int]) -> Deliveries:
        """The final count; a client that is not `connected` at the end misses what came since."""
        head = self._head()
        for client in connected:
            self._receive(client)
        missing = sum(head - cursor for cursor in self._cursor)
        expected = sum(head - first for first in self._first)
        return Deliveries(self._received, expected, self._lost + missing)
