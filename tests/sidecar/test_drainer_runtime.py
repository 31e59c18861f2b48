"""The shell around the drain: exact slots, hooks that end, nothing that a failure stops."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from kit.fake_streams import FakeStreams

from tidegate.contract.drain_settings import DrainSettings
from tidegate.contract.report import Answer, Plan
from tidegate.contract.stream_settings import StreamSettings
from tidegate.drain.decision import Goodbye
from tidegate.drain.drain import STOP_LIMIT_S, Drain
from tidegate_sidecar.drainer import Drainer

pytestmark = pytest.mark.virtual_time


def now_s() -> float:
    return asyncio.get_running_loop().time()


def drainer(streams: FakeStreams, operator: bool = False, **settings: Any) -> Drainer:
    settings = {"grace_s": 6.0, "reserve_s": 5.0, "linger_s": 0.0} | settings
    drain = Drain(DrainSettings(**settings), StreamSettings(), operator=operator, back_loaded=False)
    loop = asyncio.get_running_loop()
    return Drainer(drain, streams, loop.time, loop)


async def test_slots_are_kept_without_drift() -> None:
    streams = FakeStreams(100, clock=now_s)
    pod = drainer(streams)
    pod.filled()
    started = now_s()
    await asyncio.wait_for(pod.prestop(), 3)
    late = [at - started - (i + 0.5) / 100 for i, (at, _) in enumerate(streams.gone)]
    assert len(late) == 100
    assert late == pytest.approx([0.0] * 100, abs=0.002)
    assert now_s() - started == pytest.approx(1.0, abs=0.01)


async def test_it_bounces_closes_and_reports_changes() -> None:
    streams = FakeStreams(1)
    pod = drainer(streams)
    assert (streams.gate.refusing, streams.gate.closing) == ("starting", False)
    pod.filled()
    assert (streams.gate.refusing, streams.gate.closing) == (None, False)
    assert pod.changed.is_set()
    pod.answered(Answer(1, admitted=False))
    assert (streams.gate.refusing, streams.gate.closing) == (None, True), (
        "routers lag: still accepted"
    )
    pod.answered(Answer(2, admitted=True))
    assert not streams.gate.closing
    await asyncio.wait_for(pod.prestop(), 3)
    assert (streams.gate.refusing, streams.gate.closing) == ("drain", True)


async def test_hooks_all_end_when_the_last_stream_is_gone() -> None:
    streams = FakeStreams(3)
    pod = drainer(streams, grace_s=600.0)
    pod.filled()
    hooks = [asyncio.create_task(pod.prestop()) for _ in range(3)]
    await asyncio.sleep(0)
    streams.open_count = 0  # the clients have left by themselves
    await asyncio.wait_for(asyncio.gather(*hooks), 1)
    assert pod.drain.state == "drained"
    pod.stop()


async def test_a_plan_is_carried_out() -> None:
    streams = FakeStreams(50)
    pod = drainer(streams, grace_s=60.0, operator=True)
    pod.filled()
    hook = asyncio.create_task(pod.prestop())
    await asyncio.sleep(0)
    pod.answered(Answer(1, True, Plan("drain", rate_per_s=1000, retry_ms=321)))
    await asyncio.wait_for(hook, 2)
    assert {(g.reason, g.retry_ms) for _, g in streams.gone} == {("drain", 321)}


async def test_sigterm_returns_when_all_are_gone_or_the_limit_is_over() -> None:
    streams = FakeStreams(20)
    pod = drainer(streams)
    pod.filled()
    started = now_s()
    await pod.sigterm()
    assert now_s() - started == pytest.approx(1.0, abs=0.06)
    stuck = FakeStreams(1)
    stuck.lingering_count = 1
    pod = drainer(stuck)
    started = now_s()
    await pod.sigterm()
    assert now_s() - started == pytest.approx(STOP_LIMIT_S, abs=0.06)


async def test_a_goodbye_that_fails_does_not_stop_the_others() -> None:
    class Failing(FakeStreams):
        failed = False

        def let_go(self, count: int, goodbye: Goodbye) -> int:
            if not self.failed:
                self.failed = True
                raise RuntimeError("one stream's error")
            return super().let_go(count, goodbye)

    seen: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context))
    streams = Failing(10)
    pod = drainer(streams)
    pod.filled()
    await asyncio.wait_for(pod.prestop(), 3)
    assert len(streams.gone) == 10
    assert len(seen) == 1
