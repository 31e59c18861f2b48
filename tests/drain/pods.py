"""A pod in virtual time: asks the drain at every moment it wants to be asked, and at others."""

from dataclasses import dataclass, field

from tidegate.contract.report import Answer, Plan
from tidegate.drain.drain import Drain
from tidegate.drain.settings import DrainSettings


@dataclass
class VirtualPod:
    policy: DrainSettings
    streams: int
    now: float = 100.0
    ready: bool = True
    gone: list = field(default_factory=list)  # (time, retry_ms, reason), one per stream
    cut: int = 0

    def __post_init__(self):
        self.drain = Drain(self.policy)
        if self.ready:
            self.drain.filled()
        self.t0 = self.now

    def look(self):
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

    def run_until(self, at, every=None):
        """To `at` seconds after t0, looking when the drain asks to and, if given, each `every`."""
        end = self.t0 + at
        while True:
            decision = self.look()
            wanted = [t for t in (decision.look_again_at,) if t is not None]
            if every is not None:
                wanted.append(self.now + every)
            upcoming = min((max(t, self.now + 1e-6) for t in wanted), default=end)
            if upcoming >= end:
                self.now = end
                self.look()
                return
            self.now = upcoming

    def answer(self, seq, plan, admitted=True):
        return self.drain.answered(Answer(seq, admitted, plan), self.now)

    @property
    def times(self):
        return [t for t, _, _ in self.gone]


def drain_plan(rate, **more):
    return Plan("drain", rate_per_s=rate, **{"valid_for_s": 1e6, **more})


def peak_1s(times):
    """The most in any sliding second."""
    first, peak = 0, 0
    for i, t in enumerate(times):
        while t - times[first] >= 1.0 - 1e-6:
            first += 1
        peak = max(peak, i - first + 1)
    return peak
