"""The pod's report to the operator, and the fuller `/status`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import tidegate
from tidegate.contract.report import DEGRADED_BACKPLANE, MAX_PROBLEM_LENGTH, Report
from tidegate.contract.sidecar import Identity
from tidegate.contract.stream_settings import CommonLimits, CommonStreamSettings
from tidegate.drain.drain import Drain
from tidegate.stream.queue import new_streams_per_s
from tidegate_sidecar.backplane.port import Health
from tidegate_sidecar.streams import Streams


class PodSettings(Protocol):
    """What is reported of the settings, which hub and proxy have both."""

    @property
    def identity(self) -> Identity:
        """The pod."""

    @property
    def streams(self) -> CommonStreamSettings:
        """How streams are served."""

    @property
    def limits(self) -> CommonLimits:
        """How many."""


class Pod:
    """Reads drain, streams and the log's health; changes nothing but the report's number.

    A proxy has no log and no `health`. `auth` gives the part of `/status` on authentication.
    """

    def __init__(
        self,
        settings: PodSettings,
        drain: Drain,
        streams: Streams,
        health: Health | None,
        clock: Callable[[], float],
        auth: Callable[[], Mapping[str, Any]] = lambda: {"mode": "off"},
    ) -> None:
        self._settings = settings
        self._drain = drain
        self._streams = streams
        self._health = health
        self._clock = clock
        self._auth = auth
        self._reports = 0

    def counts(self) -> tuple[int, int]:
        """What a new report would be sent for: streams arrived and ended, in total."""
        return self._streams.arrived_total, sum(self._streams.ended_total.values())

    def problem(self) -> str | None:
        """Why the log cannot be opened, with the fix; ``None`` while it is open."""
        problem = None if self._health is None else self._health.problem
        return None if problem is None else problem.text

    def next_report(self) -> Report:
        """The next report, with its own sequence number."""
        self._reports += 1
        return self._report()

    def status(self) -> dict[str, Any]:
        """The next report, and what it leaves out."""
        streams, drain = self._streams, self._drain
        return {
            **self._report().to_json(),
            "pod": self._settings.identity.pod_name,
            "drain": drain.settings.mode,
            "refusing": streams.gate.refusing,
            "closing": streams.gate.closing,
            "admitted": drain.orders.admitted,
            "answers": dict(drain.orders.received),
            "lingering": streams.lingering_count,
            "ended_by_cause": dict(streams.ended_total),
            "bounced_by_reason": dict(streams.bounced_total),
            "refused_by_error": dict(streams.refused_total),
            "engine": dict(streams.counters),
            "auth": dict(self._auth()),
            **({} if self._health is None else {"backplane": self._of_log(self._health)}),
        }

    def _of_log(self, health: Health) -> dict[str, Any]:
        return {
            "degraded": health.degraded,
            "problem": self.problem(),
            "canary_delay_s": health.canary_delay_s,
            **health.counters,
        }

    def _degraded(self) -> str | None:
        if self._health is None:
            return None
        problem = self._health.problem
        if problem is not None:
            return problem.word
        return DEGRADED_BACKPLANE if self._health.degraded else None

    def _report(self) -> Report:
        now, drain = self._clock(), self._drain
        arrived, ended = self.counts()
        problem = self.problem()
        started, deadline = drain.prestop_at, drain.deadline_at
        return Report(
            uid=self._settings.identity.pod_uid,
            seq=self._reports,
            streams=self._streams.open_count,
            arrived_total=arrived,
            ended_total=ended,
            state=drain.state,
            plan_seq=drain.orders.seq,
            rate_limit_per_s=new_streams_per_s(self._settings.streams, self._settings.limits),
            version=tidegate.__version__,
            drain_started_s=None if started is None else max(0.0, now - started),
            deadline_in_s=None if deadline is None else max(0.0, deadline - now),
            degraded=self._degraded(),
            problem=None if problem is None else problem[:MAX_PROBLEM_LENGTH],
        )
