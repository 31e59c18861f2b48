"""A pod in virtual time: asks the drain at every moment it wants to be asked, and at others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tidegate.contract.drain_settings import DrainSettings
from tidegate.contract.report import Answer, Plan
from tidegate.contract.stream_events import ShutdownReason
from tidegate.contract.stream_settings import StreamSettings
from tidegate.drain.decision import Decision
from tidegate.drain.drain import Drain
from tidegate.drain.orders import Reception


@dataclass
class VirtualPod:
    settings: DrainSettings
    streams: int
    now: float = 100.0
    ready: bool = True
    gone: list[tuple[float, int, ShutdownReason]] = field(default_factory=list)
    """(time, retry_ms, reason), one per stream"""
    cut: int = 0
    operator: bool = False
    back_loaded: bool = True
    stream_settings: StreamSettings = StreamSettings()

    def __post_init__(self) -> None:
        self.drain = Drain(
            self.settings,
            self.stream_settings,
            operator=self.operator,
            back_loaded=self.back_loaded,
        )
        if self.ready:
            self.drain.filled()
        self.t0 = self.now

    def look(self) -> Decision:
        decision = self.drain.decide(self.now, self.streams)
        for count, goodbye in decision.goodbyes:
            assert count > 0
            assert goodbye.retry_ms >= 1
            self.gone += [(self.now - self.t0, goodbye.retry_ms, goodbye.reason)] * count
            self.streams -= count
        assert self.streams >= 0
        if decision.cut:
            self.cut, self.streams = self.streams, 0
        return decision

    def run_until(self, at: float, every: float | None = None) -> None:
        """To `at` seconds after t0, looking when the drain asks to and, if given, each `every`."""
        end = self.t0 + at
        while True:
            decision = self.look()
            wanted = [t for t in (decision.due_again_at,) if t is not None]
            if every is not None:
                wanted.append(self.now + every)
            upcoming = min((max(t, self.now + 1e-6) for t in wanted), default=end)
            if upcoming >= end:
                self.now = end
                self.look()
                return
            self.now = upcoming

    def answer(self, seq: int, plan: Plan | None, admitted: bool = True) -> Reception:
        return self.drain.answered(Answer(seq, admitted, plan), self.now)

    @property
    def times(self) -> list[float]:
        return [t for t, _, _ in self.gone]


def drain_plan(rate: float, **more: Any) -> Plan:
    return Plan("drain", rate_per_s=rate, **{"valid_for_s": 1e6, **more})


def peak_1s(times: Sequence[float]) -> int:
    """The most in any sliding second."""
    first, peak = 0, 0
    for i, t in enumerate(times):
        while t - times[first] >= 1.0 - 1e-6:
            first += 1
        peak = max(peak, i - first + 1)
    return peak
