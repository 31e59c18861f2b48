"""A pod dies without a goodbye: how long until its clients have a stream again, in virtual time.

The server's side is `tidegate.stream.retries` as the sidecar runs it: each stream has been assigned
its own ``retry:`` over the time that the fleet needs to take the streams of this pod. The clients
are the connector of the Python client, which decides by the same vectors as the TypeScript one.
What is modelled is the fleet's door: it takes `accept_rate_per_s` new streams and no more than a
quarter of a second's worth of them at once; above that it bounces, as a pod that is full does.
"""

from __future__ import annotations

import json
import math
import random
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from tidegate.contract.sidecar import StreamSettings
from tidegate.contract.stream_events import CONNECTED, SHUTDOWN, Connected, Shutdown
from tidegate.score.measures import peak_in_window, percentile
from tidegate.stream.bucket import TokenBucket
from tidegate.stream.retries import assign, reassign
from tidegate.wire.decode import Event
from tidegate_client.actions import Action, Moment, Open
from tidegate_client.connector import Connector
from tidegate_client.decisions import Settings as ClientSettings
from tidegate_lab.simulate.clients import CONNECT_S
from tidegate_lab.simulate.timeline import Timeline

DOOR_BURST_S = 0.25
BOUNCE_RETRY_MS = 1000
NOTICE_S = (0.0, 0.010)
"""A dead process's sockets are closed by its kernel; how long that takes to reach a client."""

GIVE_UP_S = 600.0
T99_OVER_LEAST = 1.10
MOST_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class CrashSettings:
    """`streams` on the pod that dies, and what the rest of the fleet takes per second.

    `assigned` false: the server sends no ``retry:``. `retold` false: the streams keep the
    ``retry:`` of their arrival and get no new one as the pod grows.
    """

    streams: int = 2000
    accept_rate_per_s: float = 1000.0
    seed: int = 1
    assigned: bool = True
    retold: bool = True

    @property
    def retries(self) -> StreamSettings:
        """How the pod assigns ``retry:``."""
        return StreamSettings(retry=self.assigned, accept_rate_per_s=self.accept_rate_per_s)

    @property
    def least_s(self) -> float:
        """What no rule can beat: streams ÷ accept rate, N/C."""
        return self.streams / self.accept_rate_per_s

    @property
    def within_cap(self) -> bool:
        """Whether the spread is as wide as it would have to be: the goals hold only there."""
        return self.least_s * 1000 <= self.retries.crash_spread_max_ms


@dataclass(frozen=True, slots=True)
class CrashOutcome:
    """How they came back. Times are from the crash, `t99_s` from the crash + the base of `retry:`.

    `blip_p50_s` and `blip_p99_s`: one client alone loses its connection while the fleet is well;
    the price it pays for the spread.
    """

    streams: int
    accept_rate_per_s: float
    least_s: float
    base_s: float
    t50_s: float
    t99_s: float
    t99_over_least: float
    attempts_mean: float
    attempts_max: int
    bounced: int
    peak_attempts_1s: int
    never_back: int
    blip_p50_s: float
    blip_p99_s: float

    def missed(self) -> list[str]:
        """The goals that are missed, as sentences."""
        goals = {
            f"t99_over_least <= {T99_OVER_LEAST:g}: {self.t99_over_least:.4g}": (
                self.t99_over_least <= T99_OVER_LEAST
            ),
            f"attempts_max <= {MOST_ATTEMPTS}: {self.attempts_max}": (
                self.attempts_max <= MOST_ATTEMPTS
            ),
            f"never_back == 0: {self.never_back}": self.never_back == 0,
        }
        return [sentence for sentence, held in goals.items() if not held]

    def to_json(self) -> dict[str, Any]:
        """The figures by name, to four digits; ``None`` for a moment that never came."""
        figures = asdict(self)
        return {key: _rounded(value) for key, value in figures.items()}


def _rounded(figure: float) -> float | None:
    if isinstance(figure, int):
        return figure
    return round(figure, 4) if math.isfinite(figure) else None


def simulate_crash(settings: CrashSettings) -> CrashOutcome:
    """Kill the pod and count until all clients are back or `GIVE_UP_S` has passed."""
    crash = _Crash(settings)
    crash.run()
    back_s = [*crash.back_s, *[math.inf] * (settings.streams - len(crash.back_s))]
    blips_s = _blips_s(settings)
    base_s = settings.retries.retry_base_ms / 1000
    t99_s = _share(back_s, 0.99) - base_s
    return CrashOutcome(
        streams=settings.streams,
        accept_rate_per_s=settings.accept_rate_per_s,
        least_s=settings.least_s,
        base_s=base_s,
        t50_s=_share(back_s, 0.5) - base_s,
        t99_s=t99_s,
        t99_over_least=t99_s / settings.least_s,
        attempts_mean=sum(crash.attempts) / settings.streams,
        attempts_max=max(crash.attempts),
        bounced=crash.bounced,
        peak_attempts_1s=peak_in_window(crash.asked_s),
        never_back=settings.streams - len(crash.back_s),
        blip_p50_s=_share(blips_s, 0.5),
        blip_p99_s=_share(blips_s, 0.99),
    )


def _share(values: list[float], share: float) -> float:
    found = percentile(values, share)
    assert found is not None
    return found


class _Crash:
    """The clients of the dead pod and the door of those that live."""

    def __init__(self, settings: CrashSettings) -> None:
        self.timeline = Timeline()
        self.back_s: list[float] = []
        self.asked_s: list[float] = []
        self.attempts = [0] * settings.streams
        self.bounced = 0
        self._settings = settings
        self._rng = random.Random(settings.seed)
        self._clients = connected_clients(settings)
        burst = max(1.0, settings.accept_rate_per_s * DOOR_BURST_S)
        self._door = TokenBucket(settings.accept_rate_per_s, burst, 0.0)

    def run(self) -> None:
        """Every stream ends; go on until all clients are back."""
        for number in range(self._settings.streams):
            self.timeline.after(self._rng.uniform(*NOTICE_S), partial(self._cut, number))
        everybody = self._settings.streams
        self.timeline.run(lambda: len(self.back_s) == everybody, GIVE_UP_S)

    def _at(self) -> Moment:
        return Moment(self.timeline.now_s * 1000, self._rng.random())

    def _cut(self, number: int) -> None:
        self._obey(number, self._clients[number].ended(1, "error", self._at()))

    def _obey(self, number: int, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Open):
                self.attempts[number] += 1
                self.asked_s.append(self.timeline.now_s)
                took_s = self._rng.uniform(*CONNECT_S)
                self.timeline.after(took_s, partial(self._arrive, number, action.conn))
        self._wait(number)

    def _wait(self, number: int) -> None:
        due_ms = self._clients[number].deadline_ms()
        if due_ms < math.inf:
            self.timeline.at(due_ms / 1000, partial(self._tick, number, due_ms))

    def _tick(self, number: int, due_ms: float) -> None:
        client = self._clients[number]
        if client.deadline_ms() == due_ms and client.ready_state == "connecting":
            # What the timer has waited for is due, whatever a division by 1000 has made of it.
            self._obey(number, client.tick(Moment(due_ms, self._rng.random())))

    def _arrive(self, number: int, conn: int) -> None:
        client, at = self._clients[number], self._at()
        client.responded(conn, 200, "text/event-stream", 0, at)
        if self._door.wait_s(self.timeline.now_s) == 0.0:
            self._door.spend(1.0)
            self.back_s.append(self.timeline.now_s)
            client.event(conn, _connected(0), at)
            return
        self.bounced += 1
        client.retry(conn, BOUNCE_RETRY_MS)
        goodbye = Shutdown("overloaded", reconnect_after_ms=BOUNCE_RETRY_MS, deadline_ms=0)
        goodbye_event = Event(SHUTDOWN, json.dumps(goodbye.to_json()), "")
        self._obey(number, client.event(conn, goodbye_event, at))


def connected_clients(settings: CrashSettings) -> list[Connector]:
    """Clients that have come to the pod one after the other, each with its ``retry:``."""
    retries = settings.retries
    clients = []
    start = Moment(-3_600_000, 0.0)
    for arrival in range(settings.streams):
        client = Connector(ClientSettings())
        client.connect(start)
        client.responded(1, 200, "text/event-stream", 0, start)
        assigned = assign(retries, arrival, arrival)
        spread_ms = assigned.spread_ms
        if assigned.retry_ms is not None:
            client.retry(1, assigned.retry_ms)
        client.event(1, _connected(spread_ms), start)
        anew = reassign(retries, arrival, settings.streams, spread_ms)
        if settings.retold and anew is not None and anew.retry_ms is not None:
            client.retry(1, anew.retry_ms)
        clients.append(client)
    return clients


def _connected(spread_ms: int) -> Event:
    said = Connected("pod", "1", heartbeat_ms=15_000, spread_ms=spread_ms, replay=False)
    return Event(CONNECTED, json.dumps(said.to_json()), "e-1")


def _blips_s(settings: CrashSettings) -> list[float]:
    """For each client alone: from the loss of its connection to its next stream."""
    rng = random.Random(settings.seed)
    waits_s = []
    for client in connected_clients(settings):
        client.ended(1, "error", Moment(0.0, rng.random()))
        waits_s.append(client.deadline_ms() / 1000 + rng.uniform(*CONNECT_S))
    return waits_s
