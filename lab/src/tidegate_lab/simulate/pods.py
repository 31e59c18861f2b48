"""A simulated pod: the production drain over a set of streams.

The streams are kept in order of arrival, because the oldest go first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tidegate.contract.report import Answer, Plan, Report
from tidegate.drain.drain import Drain
from tidegate.rollout.snapshot import Pod
from tidegate_lab.simulate.timeline import Timeline

ACCEPT_RATE_PER_S = 1000.0


@dataclass(frozen=True, slots=True)
class PodEvents:
    """Events of a pod for the fleet.

    `released`: a stream was let go (the client, and when to return in seconds, ``None`` for a
    cut); `gone`: the pod has ended.
    """

    released: Callable[[SimulatedPod, int, float | None], None]
    gone: Callable[[SimulatedPod], None]


class SimulatedPod:
    """One pod: what the API server shows of it, its streams, and its drain."""

    def __init__(
        self, name: str, revision: str, drain: Drain, timeline: Timeline, events: PodEvents
    ) -> None:
        self.name = name
        self.revision = revision
        self.created_s = timeline.now_s
        self.ready_s: float | None = None
        self.available_s: float | None = None
        self.deleted_s: float | None = None
        self.admitted = True
        self.deletion_cost: int | None = None
        self.alive = True
        self.streams: dict[int, None] = {}
        self.drain = drain
        self._timeline = timeline
        self._events = events
        self._arrived = self._ended = 0
        self._report: Report | None = None
        self._reported_s = float("-inf")
        self._report_seq = self._answer_seq = 0
        self._told: tuple[Plan | None, float] = (None, 0.0)
        self._wake_s = float("inf")

    def become_ready(self) -> None:
        """The probe has passed."""
        self.ready_s = self._timeline.now_s
        self.drain.filled()

    def crash(self, drain: Drain) -> None:
        """The process ends, its streams with it; `drain` is its successor's."""
        self._cut()
        self.ready_s = self.available_s = None
        self.drain = drain
        self._arrived = self._ended = 0

    @property
    def in_endpoints(self) -> bool:
        """Whether the endpoint slice lists this pod as ready, whatever its label."""
        return self.alive and self.ready_s is not None and self.deleted_s is None

    def accept(self, client: int) -> bool:
        """Take a stream; ``False`` where the door bounces it."""
        if self.drain.refusing is not None:
            return False
        self.streams[client] = None
        self._arrived += 1
        return True

    # Deletion: preStop, then SIGTERM when the hook ends, SIGKILL when the grace is over.

    def delete(self) -> None:
        """What the kubelet does when the pod object is deleted."""
        now = self._timeline.now_s
        self.deleted_s = now
        self.drain.prestop(now)
        self._timeline.after(self.drain.settings.grace_s, self._kill)
        self._advance()

    def _advance(self) -> None:
        if not self.alive:
            return
        now = self._timeline.now_s
        decision = self.drain.decide(now, len(self.streams))
        for count, goodbye in decision.goodbyes:
            self._let_go(count, goodbye.retry_ms)
        if decision.cut:
            self._cut()
        if self.deleted_s is not None and self.drain.sigterm_at is None:
            if self.drain.hook_done(now):
                self.drain.sigterm(now)
                self._timeline.after(0.0, self._advance)
                return
        elif self.drain.sigterm_at is not None and not self.streams:
            self._end()
            return
        self._wake_at(decision.due_again_at)

    def _wake_at(self, when_s: float | None) -> None:
        if when_s is None or (self._timeline.now_s < self._wake_s <= when_s):
            return
        self._wake_s = when_s
        self._timeline.at(when_s, self._woken)

    def _woken(self) -> None:
        if self._timeline.now_s >= self._wake_s:
            self._wake_s = float("inf")
        self._advance()

    def _let_go(self, count: int, retry_ms: int) -> None:
        for _ in range(min(count, len(self.streams))):
            client = next(iter(self.streams))
            del self.streams[client]
            self._ended += 1
            self._events.released(self, client, retry_ms / 1000)

    def _cut(self) -> None:
        for client in [*self.streams]:
            del self.streams[client]
            self._ended += 1
            self._events.released(self, client, None)

    def _kill(self) -> None:
        if self.alive:
            self._cut()
            self._end()

    def _end(self) -> None:
        self.alive = False
        self._events.gone(self)

    # The conversation with the operator.

    def receive(self, plan: Plan | None) -> None:
        """An answer has come."""
        if not self.alive or (plan is None and self._told[0] is None):
            return
        self._answer_seq += 1
        self._told = (plan, self._timeline.now_s)
        answer = Answer(self._answer_seq, self.admitted, plan)
        self.drain.answered(answer, self._timeline.now_s)
        self._advance()

    @property
    def last_order(self) -> tuple[Plan | None, float]:
        """The last plan and when it arrived."""
        return self._told

    def report(self, every_s: float) -> tuple[Report, float]:
        """The report that the operator holds, and its age.

        As a sidecar's: renewed when the state has changed, or the counts and the time has come.
        """
        now = self._timeline.now_s
        if self._report is None or self._has_news(self._report, now - self._reported_s, every_s):
            self._report, self._reported_s = self._new_report(now), now
        return self._report, now - self._reported_s

    def _has_news(self, said: Report, age_s: float, every_s: float) -> bool:
        counted = (said.arrived_total, said.ended_total) != (self._arrived, self._ended)
        return said.state != self.drain.state or (counted and age_s >= every_s - 1e-9)

    def _new_report(self, now: float) -> Report:
        self._report_seq += 1
        started, deadline = self.drain.prestop_at, self.drain.deadline_at
        return Report(
            uid=self.name,
            seq=self._report_seq,
            streams=len(self.streams),
            arrived_total=self._arrived,
            ended_total=self._ended,
            state=self.drain.state,
            plan_seq=self._answer_seq,
            rate_limit_per_s=ACCEPT_RATE_PER_S,
            version="simulation",
            drain_started_s=None if started is None else now - started,
            deadline_in_s=None if deadline is None else max(0.0, deadline - now),
        )

    def shown(self, report_every_s: float) -> Pod:
        """The pod as a snapshot shows it."""
        now = self._timeline.now_s
        report, age_s = self.report(report_every_s)
        killed_in = None
        if self.deleted_s is not None:
            killed_in = max(0.0, self.deleted_s + self.drain.settings.grace_s - now)
        return Pod(
            uid=self.name,
            name=self.name,
            revision=self.revision,
            ready=self.in_endpoints,
            deleting=self.deleted_s is not None,
            available=self.available_s is not None,
            admitted=self.admitted,
            deletion_cost=self.deletion_cost,
            deadline_in_s=killed_in,
            report=report,
            report_age_s=age_s,
            # Those that are there from the beginning have been there for long.
            age_s=now - self.created_s if self.created_s > 0 else math.inf,
        )
