"""Reports the pod to the operator and applies its answers: one held request at a time.

The operator answers when it has news, or after the hold time of its last answer; one that is silent
for longer was stopped, and the next connection leads to its successor. A request is given up for a
newer one when the pod's state changes, and when its counts have changed and the interval that the
operator asked for has passed. Nothing here can hurt a stream: whatever goes wrong is counted and
tried again later.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Callable
from typing import Final

from tidegate.contract import names
from tidegate.contract.errors import DocumentError
from tidegate.contract.report import HOLD_S, RESTING_REPORT_S, Answer, Report
from tidegate_sidecar.drainer import Drainer
from tidegate_sidecar.metrics import Metrics
from tidegate_sidecar.reporting.poster import Poster, PostError
from tidegate_sidecar.reporting.report import Pod

PRESTOP_TIMEOUT_S: Final = 1.0
PRESTOP_TRIES: Final = 2
"""At preStop the answer must come soon or not at all: after 2 s the pod's own plan starts."""

_HOLD_MARGIN_S: Final = 2.0
_LEAST_INTERVAL_S: Final = 0.05
_LOOK_AT_COUNTS_S: Final = 0.05
_BACKOFF_S: Final = (0.25, 0.5, *(60 * (1.0,)), 2.0, 4.0, 8.0, 15.0)
"""From one try to the next. A leader that died is replaced within a minute at most, and needs the
reports within seconds of that; after a minute the operator is away for longer."""

_BACKOFF_DRAINING_S: Final = 1.0
_LEAST_BACKOFF_S: Final = 0.2

_log = logging.getLogger("tidegate.report")


class Reporter:
    """Reports to the operator at `url` as the pod that `token` names; `run` never returns.

    `tls` is used where `url` is https; ``None``: what the system trusts. `jitter` gives numbers in
    [0, 1): pods that lost the operator together do not return together.
    """

    def __init__(
        self,
        url: str,
        token: Callable[[], str],
        pod: Pod,
        drainer: Drainer,
        metrics: Metrics,
        clock: Callable[[], float],
        tls: ssl.SSLContext | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._poster = Poster(url.rstrip("/") + names.PATH_REPORT, token, tls)
        self._pod = pod
        self._drainer = drainer
        self._metrics = metrics
        self._clock = clock
        self._jitter = jitter
        self._report_every_s = RESTING_REPORT_S
        self._hold_s = HOLD_S
        self._hurried = 0
        self._failures = 0

    async def run(self) -> None:
        """Report until cancelled."""
        try:
            while True:
                await self._once()
        finally:
            await self._poster.close()

    async def _once(self) -> None:
        if self._drainer.changed.is_set():
            self._drainer.changed.clear()
            leaving = self._drainer.drain.state == "draining"
            self._hurried = PRESTOP_TRIES if leaving else 0
        sent_at, counts = self._clock(), self._pod.counts()
        hurried = self._hurried > 0
        self._hurried = max(0, self._hurried - 1)
        timeout_s = PRESTOP_TIMEOUT_S if hurried else self._hold_s + _HOLD_MARGIN_S
        request = asyncio.create_task(self._post(self._pod.next_report(), timeout_s))
        try:
            result = await self._until_superseded(request, sent_at, counts)
        finally:
            request.cancel()
        self._metrics.reported(result)
        if result == "failed" and not self._hurried:
            await self._back_off(self._clock() - sent_at)
        elif result != "failed":
            self._failures = 0
            self._hurried = 0 if result == "answered" else self._hurried
            await self._wait_changed(sent_at + _LEAST_INTERVAL_S - self._clock())

    async def _until_superseded(
        self, request: asyncio.Task[bool], sent_at: float, counts: tuple[int, int]
    ) -> str:
        """Wait for the answer, or for a reason to send a newer report."""
        changed = asyncio.create_task(self._drainer.changed.wait())
        try:
            while True:
                due_s = sent_at + self._report_every_s - self._clock()
                wait_s = max(_LOOK_AT_COUNTS_S, due_s)
                await asyncio.wait(
                    (request, changed), timeout=wait_s, return_when=asyncio.FIRST_COMPLETED
                )
                if request.done():
                    return "answered" if request.result() else "failed"
                news = self._pod.counts() != counts and self._clock() >= (
                    sent_at + self._report_every_s
                )
                if changed.done() or news:
                    return "superseded"
        finally:
            changed.cancel()

    async def _post(self, report: Report, timeout_s: float) -> bool:
        """Post one report and take the answer; whether there was a good one."""
        try:
            async with asyncio.timeout(timeout_s):
                answer = Answer.from_json(await self._poster.post(report.to_json()))
        except (PostError, TimeoutError, DocumentError) as error:
            _log.debug("report failed: %s", error)
            return False
        self._report_every_s, self._hold_s = answer.report_every_s, answer.hold_s
        self._drainer.answered(answer)
        return True

    async def _back_off(self, tried_s: float) -> None:
        """Wait for the next try; the last one took `tried_s` of that time already."""
        longest = _BACKOFF_S[min(self._failures, len(_BACKOFF_S) - 1)]
        if self._drainer.drain.state == "draining":
            longest = min(longest, _BACKOFF_DRAINING_S)
        if self._failures == 0:
            _log.warning("the operator does not answer; streams are not affected")
        self._failures += 1
        wait_s = max(_LEAST_BACKOFF_S, longest - tried_s)
        await self._wait_changed(wait_s * (0.5 + 0.5 * self._jitter()))

    async def _wait_changed(self, wait_s: float) -> None:
        if wait_s <= 0:
            return
        try:
            async with asyncio.timeout(wait_s):
                await self._drainer.changed.wait()
        except TimeoutError:
            return
