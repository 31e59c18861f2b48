"""How often pods and operator speak, with the sidecar's own reporter: enough, and no more."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from kit.waiting import until
from operator_shell.fakes import FakeCluster, pod, report

from tidegate.contract.report import ROLLING_REPORT_S, Answer, Report
from tidegate_operator.meters import Meters
from tidegate_operator.report_api import report_app, report_server
from tidegate_operator.reports import PodPlan, ReportBook
from tidegate_sidecar.reporting.reporter import Reporter

MEASURED_S = 2.0


class Sidecar:
    """What a reporter asks of its pod, its drainer and its metrics; `arrived` grows by itself."""

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._began_s = time.monotonic()
        self._seq = 0
        self._plan_seq = 0
        self.state = "ready"
        self.changed = asyncio.Event()
        self.results: list[str] = []

    @property
    def drain(self) -> Sidecar:
        return self

    @property
    def arrived(self) -> int:
        return int((time.monotonic() - self._began_s) * self._per_s)

    def counts(self) -> tuple[int, int]:
        return self.arrived, 0

    def next_report(self) -> Report:
        self._seq += 1
        return report("a", self._seq, self.arrived, plan_seq=self._plan_seq)

    def answered(self, answer: Answer) -> None:
        self._plan_seq = answer.seq

    def reported(self, result: str) -> None:
        self.results.append(result)


@contextlib.asynccontextmanager
async def talking(per_s: float) -> AsyncIterator[Sidecar]:
    """A pod in a rollout, as many arrivals a second, and an operator without news for it."""
    book = ReportBook(time.monotonic)
    server = report_server(report_app(FakeCluster([pod("a")]), book, Meters()), "127.0.0.1")
    port = await server.start()
    sidecar: Any = Sidecar(per_s)
    reporter = Reporter(
        f"http://127.0.0.1:{port}", lambda: "token-a", sidecar, sidecar, sidecar, time.monotonic
    )
    reporting = asyncio.create_task(reporter.run())
    try:
        await until(lambda: book.latest("a") is not None)
        book.decide("a", PodPlan(report_every_s=ROLLING_REPORT_S))
        await until(lambda: len(sidecar.results) >= 1)
        yield sidecar
    finally:
        reporting.cancel()
        await asyncio.gather(reporting, return_exceptions=True)
        book.close()
        await server.stop()


async def counted(sidecar: Sidecar, done: Callable[[list[str]], bool]) -> list[str]:
    """The results of the measured time, after one in which both sides have found their pace."""
    await until(lambda: done(sidecar.results))
    before = len(sidecar.results)
    await asyncio.sleep(MEASURED_S)
    return sidecar.results[before:]


@pytest.mark.parametrize("per_s", [400.0, 3.0], ids=["busy", "now and then"])
async def test_a_pod_that_moves_reports_at_its_pace_and_keeps_its_connection(per_s: float) -> None:
    async with talking(per_s) as sidecar:
        results = await counted(sidecar, lambda seen: len(seen) >= 5)
    assert "failed" not in results
    # A machine that is busy elsewhere may be late now and then; by rule it would be every time.
    assert results.count("superseded") < len(results) / 2, "each costs a TLS handshake"
    pace_per_s = len(results) / MEASURED_S
    assert 0.5 / ROLLING_REPORT_S <= pace_per_s <= 1.5 / ROLLING_REPORT_S


async def test_a_pod_with_nothing_to_tell_is_left_alone() -> None:
    async with talking(0.0) as sidecar:
        assert await counted(sidecar, lambda seen: True) == []
