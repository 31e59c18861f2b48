"""Pods die without a goodbye: how long until their clients have a stream again, in virtual time.

The server's side is the sidecar's own: `tidegate.stream.retries` has assigned each stream its
``retry:`` over the time that the fleet needs to take the streams of its pod, and each pod that
lives has the queue of `tidegate.stream.queue` at its door, with an equal share of the fleet's
rate. A client comes to a pod at random, as behind kube-proxy, so the pod that has named it a slot
is rarely the one it comes to. The clients are either browsers' own EventSources or the connector
of the Python client, which decides by the same vectors as the TypeScript one.
"""

from __future__ import annotations

import math
import random
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

from tidegate.contract.stream_settings import StreamSettings
from tidegate.score.measures import peak_in_window, percentile
from tidegate.stream.queue import AcceptQueue
from tidegate.stream.retries import assign, reassign
from tidegate_lab.simulate.clients import CONNECT_S
from tidegate_lab.simulate.returning import NativeClient, ReturningClient, SmartClient
from tidegate_lab.simulate.timeline import Timeline

NOTICE_S = (0.0, 0.010)
"""A dead process's sockets are closed by its kernel; how long that takes to reach a client."""

GIVE_UP_S = 600.0
"""How long after twice the least time a client may still come back before it counts as lost."""

T99_OVER_LEAST = 1.15
ATTEMPTS_MEAN = 2.1

ClientKind = Literal["smart", "native"]


@dataclass(frozen=True, slots=True)
class CrashSettings:
    """`streams` on the `dead` pods of a fleet of `pods`, and what the others take per second.

    `clients`: Tidegate's own or the browsers' EventSource. `assigned` false: the server sends no
    ``retry:``. `retold` false: the streams keep the ``retry:`` of their arrival and get no new one
    as the pod grows.
    """

    streams: int = 2000
    accept_rate_per_s: float = 1000.0
    seed: int = 1
    pods: int = 10
    dead: int = 1
    clients: ClientKind = "smart"
    assigned: bool = True
    retold: bool = True

    @property
    def retries(self) -> StreamSettings:
        """How the pods assign ``retry:``."""
        return StreamSettings(retry=self.assigned, accept_rate_per_s=self.accept_rate_per_s)

    @property
    def least_s(self) -> float:
        """The least any rule can need: streams ÷ accept rate, N/C."""
        return self.streams / self.accept_rate_per_s


@dataclass(frozen=True, slots=True)
class CrashOutcome:
    """How they came back. Times are from the crash, `t99_s` from the crash + the base of `retry:`.

    `blip_p50_s` and `blip_p99_s`: one client alone loses its connection while the fleet is well;
    the price it pays for the spread.
    """

    streams: int
    accept_rate_per_s: float
    pods: int
    dead: int
    least_s: float
    base_s: float
    t50_s: float
    t99_s: float
    t99_over_least: float
    attempts_mean: float
    attempts_max: int
    bounced: int
    peak_attempts_1s: int
    peak_accepted_1s: int
    never_back: int
    blip_p50_s: float
    blip_p99_s: float

    def missed(self) -> list[str]:
        """The goals that are missed, as sentences."""
        goals = {
            f"t99_over_least <= {T99_OVER_LEAST:g}: {self.t99_over_least:.4g}": (
                self.t99_over_least <= T99_OVER_LEAST
            ),
            f"attempts_mean <= {ATTEMPTS_MEAN:g}: {self.attempts_mean:.4g}": (
                self.attempts_mean <= ATTEMPTS_MEAN
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
    """Kill the pods and count until all clients are back or a time limit has passed."""
    crash = _Crash(settings)
    crash.run()
    back_s = [*crash.back_s, *[math.inf] * (settings.streams - len(crash.back_s))]
    blips_s = _blips_s(settings)
    base_s = settings.retries.retry_base_ms / 1000
    t99_s = _share(back_s, 0.99) - base_s
    return CrashOutcome(
        streams=settings.streams,
        accept_rate_per_s=settings.accept_rate_per_s,
        pods=settings.pods,
        dead=settings.dead,
        least_s=settings.least_s,
        base_s=base_s,
        t50_s=_share(back_s, 0.5) - base_s,
        t99_s=t99_s,
        t99_over_least=t99_s / settings.least_s,
        attempts_mean=sum(crash.attempts) / settings.streams,
        attempts_max=max(crash.attempts),
        bounced=crash.bounced,
        peak_attempts_1s=peak_in_window(crash.asked_s),
        peak_accepted_1s=peak_in_window(crash.back_s),
        never_back=settings.streams - len(crash.back_s),
        blip_p50_s=_share(blips_s, 0.5),
        blip_p99_s=_share(blips_s, 0.99),
    )


def _share(values: list[float], share: float) -> float:
    found = percentile(values, share)
    assert found is not None
    return found


class _Crash:
    """The clients of the dead pods and the doors of those that live."""

    def __init__(self, settings: CrashSettings) -> None:
        self.timeline = Timeline()
        self.back_s: list[float] = []
        self.asked_s: list[float] = []
        self.attempts = [0] * settings.streams
        self.bounced = 0
        self._settings = settings
        self._rng = random.Random(settings.seed)
        self._clients = connected_clients(settings)
        live = settings.pods - settings.dead
        self._doors = [AcceptQueue(settings.accept_rate_per_s / live) for _ in range(live)]

    def run(self) -> None:
        """Every stream ends; go on until all clients are back."""
        for number in range(self._settings.streams):
            self.timeline.after(self._rng.uniform(*NOTICE_S), partial(self._cut, number))
        everybody = self._settings.streams
        at_most_s = 2 * self._settings.least_s + GIVE_UP_S
        self.timeline.run(lambda: len(self.back_s) == everybody, at_most_s)

    def _cut(self, number: int) -> None:
        now_ms = self.timeline.now_s * 1000
        self._return(number, self._clients[number].cut(now_ms, self._rng.random()))

    def _return(self, number: int, due_ms: float | None) -> None:
        if due_ms is not None:
            self.timeline.at(due_ms / 1000, partial(self._ask, number, due_ms))

    def _ask(self, number: int, due_ms: float) -> None:
        self.attempts[number] += 1
        self.asked_s.append(self.timeline.now_s)
        # The time its timer has waited for, not what a division by 1000 has made of it.
        self._clients[number].asks(due_ms, self._rng.random())
        self.timeline.after(self._rng.uniform(*CONNECT_S), partial(self._arrive, number))

    def _arrive(self, number: int) -> None:
        now_s, door = self.timeline.now_s, self._rng.choice(self._doors)
        if door.has_room(now_s):
            door.take()
            self.back_s.append(now_s)
            return
        self.bounced += 1
        wait_ms = door.slot_ms(now_s)
        client = self._clients[number]
        self._return(number, client.bounced(wait_ms, now_s * 1000, self._rng.random()))


def connected_clients(settings: CrashSettings) -> list[ReturningClient]:
    """Clients that have come to the dead pods one after the other, each with its ``retry:``."""
    retries = settings.retries
    make = SmartClient if settings.clients == "smart" else NativeClient
    clients: list[ReturningClient] = []
    for number in range(settings.streams):
        arrival = number // settings.dead
        assigned = assign(retries, arrival, arrival)
        at_the_end = -(-settings.streams // settings.dead)
        anew = reassign(retries, arrival, at_the_end, assigned.spread_ms)
        retry_ms = assigned.retry_ms
        if settings.retold and anew is not None:
            retry_ms = anew.retry_ms
        clients.append(make(number, retry_ms, assigned.spread_ms))
    return clients


def _blips_s(settings: CrashSettings) -> list[float]:
    """For each client alone: from the loss of its connection to its next stream."""
    rng = random.Random(settings.seed)
    waits_s = []
    for client in connected_clients(settings):
        due_ms = client.cut(0.0, rng.random())
        if due_ms is not None:
            waits_s.append(due_ms / 1000 + rng.uniform(*CONNECT_S))
    return waits_s
