"""The conversation with the operator, over a real socket and with a stand-in for the operator."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from kit.fake_streams import FakeStreams
from kit.waiting import until

from tidegate.contract.report import Answer, Plan, Report
from tidegate.contract.sidecar import Identity, OperatorSettings, SidecarSettings
from tidegate.drain.drain import Drain
from tidegate_sidecar.backplane.memory.log import MemoryLog
from tidegate_sidecar.drainer import Drainer
from tidegate_sidecar.metrics import Metrics
from tidegate_sidecar.reporting.poster import CONNECT_S, Poster, PostError
from tidegate_sidecar.reporting.report import Pod
from tidegate_sidecar.reporting.reporter import Reporter

pytestmark = pytest.mark.virtual_time

Script = Callable[[Report, int], Answer | bytes | None]


def now_s() -> float:
    return asyncio.get_running_loop().time()


class Operator:
    """Answers each report by `script(report, number)`: an Answer, raw bytes, or ``None``: hold."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.reports: list[tuple[float, Report]] = []
        self.heads: list[str] = []
        self.connections = 0
        self.hung_up = 0
        self.serving = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.serving += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = next(x for x in head.splitlines() if x.lower().startswith("content-l"))
                body = await reader.readexactly(int(length.partition(":")[2]))
                self.heads.append(head)
                self.reports.append((now_s(), Report.from_json(json.loads(body))))
                answer = self.script(self.reports[-1][1], len(self.reports))
                if answer is None:
                    assert await reader.read(1) == b""
                    self.hung_up += 1
                    return
                if isinstance(answer, Answer):
                    text = json.dumps(answer.to_json()).encode()
                    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self.serving -= 1
            writer.close()

    async def until(self, condition: Callable[[Operator], object]) -> None:
        await until(lambda: condition(self))

    @property
    def states(self) -> list[str]:
        return [report.state for _, report in self.reports]


@dataclass(frozen=True)
class World:
    operator: Operator
    streams: FakeStreams
    drainer: Drainer
    metrics: Metrics
    task: asyncio.Task[None]


@asynccontextmanager
async def talking(script: Script, url: str | None = None) -> AsyncIterator[World]:
    operator = Operator(script)
    server = await asyncio.start_server(operator.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = url or f"http://127.0.0.1:{port}"
    settings = SidecarSettings(
        identity=Identity(pod_uid="u-1", pod_token="tok"), operator=OperatorSettings(url=url)
    )
    loop = asyncio.get_running_loop()
    streams = FakeStreams(10)
    drain = Drain(settings.drain, settings.streams, operator=True)
    backplane = MemoryLog(now_s, 1)
    drainer = Drainer(drain, streams, now_s, loop)
    metrics = Metrics(drain, streams, backplane)
    pod = Pod(settings, drain, streams, backplane, now_s)
    reporter = Reporter(url, lambda: "tok", pod, drainer, metrics, now_s, jitter=lambda: 0.0)
    drainer.filled()
    task = asyncio.create_task(reporter.run())
    try:
        yield World(operator, streams, drainer, metrics, task)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        drainer.stop()
        server.close()
        await operator.until(lambda o: not o.serving)


async def test_it_says_who_it_is_and_holds_one_request() -> None:
    async with talking(lambda report, n: None) as world:
        await world.operator.until(lambda o: o.reports)
        await asyncio.sleep(0.3)
        (report,) = [r for _, r in world.operator.reports]
        assert (report.uid, report.state, report.streams, report.seq) == ("u-1", "ready", 10, 1)
        head = world.operator.heads[0].lower()
        assert head.startswith("post /v1/report http/1.1")
        assert "authorization: bearer tok" in head


async def test_the_next_report_has_the_seq_of_the_last_answer_on_the_same_connection() -> None:
    answer = Answer(7, False, None, 15.0)
    async with talking(lambda report, n: answer if n == 1 else None) as world:
        await world.operator.until(lambda o: len(o.reports) == 2)
        assert world.operator.reports[1][1].plan_seq == 7
        assert world.streams.gate.closing
        assert world.operator.connections == 1


async def test_a_change_of_state_ends_the_held_request_at_once() -> None:
    async with talking(lambda report, n: None) as world:
        await world.operator.until(lambda o: o.reports)
        hook = asyncio.create_task(world.drainer.prestop())
        asked_at = now_s()
        await world.operator.until(lambda o: "draining" in o.states)
        at = next(at for at, r in world.operator.reports if r.state == "draining")
        assert at - asked_at < 0.05
        await world.operator.until(lambda o: o.hung_up >= 1)
        hook.cancel()


async def test_at_preStop_it_gives_up_after_a_second_and_tries_once_more() -> None:
    async with talking(lambda report, n: None) as world:
        await world.operator.until(lambda o: o.reports)
        hook = asyncio.create_task(world.drainer.prestop())
        await world.operator.until(lambda o: o.states.count("draining") == 2)
        first, second = [at for at, r in world.operator.reports if r.state == "draining"][:2]
        assert second - first == pytest.approx(1.0, abs=0.05)
        hook.cancel()


async def test_changed_counts_are_told_when_the_interval_is_over_and_not_before() -> None:
    every = Answer(1, True, None, 0.3)
    async with talking(lambda report, n: every if n == 1 else None) as world:
        await world.operator.until(lambda o: len(o.reports) == 2)
        sent_at = world.operator.reports[1][0]
        world.streams.arrived_total += 1
        await world.operator.until(lambda o: len(o.reports) == 3)
        assert world.operator.reports[2][0] - sent_at == pytest.approx(0.3, abs=0.06)
        assert world.operator.reports[2][1].arrived_total == 11
        await asyncio.sleep(0.4)
        assert len(world.operator.reports) == 3, "nothing new, nothing said"


async def test_a_plan_reaches_the_streams() -> None:
    def script(report: Report, n: int) -> Answer | None:
        if report.state != "draining":
            return None
        return Answer(n, True, Plan("drain", rate_per_s=500, retry_ms=99), 0.25)

    async with talking(script) as world:
        await asyncio.wait_for(_drained(world), 5)
        assert {g.retry_ms for _, g in world.streams.gone} == {99}


async def _drained(world: World) -> None:
    hook = asyncio.create_task(world.drainer.prestop())
    await world.operator.until(lambda o: "drained" in o.states)
    hook.cancel()


@pytest.mark.parametrize(
    "bad",
    [
        b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnope",
        b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"seq": -1}',
        b"SSH-2.0-what\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + b"x" * 999_999,
    ],
    ids=["503", "not JSON", "not an answer", "not HTTP", "too large"],
)
async def test_a_bad_answer_hurts_nothing_and_is_tried_again_later(bad: bytes) -> None:
    good = Answer(1, False)
    async with talking(lambda report, n: bad if n == 1 else good if n == 2 else None) as world:
        await world.operator.until(lambda o: len(o.reports) >= 3)
        gap_s = world.operator.reports[1][0] - world.operator.reports[0][0]
        assert gap_s >= 0.12, "it backs off"
        assert world.streams.gate.closing
        failed = world.metrics.registry.get_sample_value(
            "tidegate_reports_total", {"result": "failed"}
        )
        assert failed == 1


async def test_an_operator_that_is_not_there_costs_nothing_but_a_count() -> None:
    async with talking(lambda report, n: None, url="http://127.0.0.1:1") as world:
        failed = {"result": "failed"}
        registry = world.metrics.registry
        await until(lambda: registry.get_sample_value("tidegate_reports_total", failed))
        assert not world.task.done()
        assert world.streams.open_count == 10


async def test_an_operator_that_is_silent_beyond_its_hold_time_is_left_for_its_successor() -> None:
    """It was stopped, and the kernel keeps its connections."""
    first = Answer(1, True, None, 15.0, hold_s=4.0)
    async with talking(lambda report, n: first if n == 1 else None) as world:
        await world.operator.until(lambda o: len(o.reports) == 3)
        held_at, left_at = world.operator.reports[1][0], world.operator.reports[2][0]
        assert 4.0 < left_at - held_at < 7.0
        assert world.operator.connections == 2


async def test_a_successor_gets_a_report_within_three_seconds_of_its_first_moment() -> None:
    """Connections are refused, or hang in the handshake, until it is there."""
    silent: list[asyncio.StreamWriter] = []

    async def stopped(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent.append(writer)

    server = await asyncio.start_server(stopped, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    tls = ssl.create_default_context()
    poster = Poster(f"https://127.0.0.1:{port}/v1/report", lambda: "tok", tls)
    began_s = now_s()
    with pytest.raises(PostError, match="no connection"):
        await poster.post({})
    assert now_s() - began_s == pytest.approx(CONNECT_S, abs=0.05)
    for writer in silent:
        writer.close()
    server.close()
    # Refused: the next try is a second away at most, for the minute in which a Lease ends.
    async with talking(lambda report, n: None, url="http://127.0.0.1:1") as world:
        registry, failed = world.metrics.registry, {"result": "failed"}
        await asyncio.sleep(20.0)
        before = registry.get_sample_value("tidegate_reports_total", failed)
        await asyncio.sleep(10.0)
        after = registry.get_sample_value("tidegate_reports_total", failed)
        assert before is not None
        assert after is not None
        assert after - before >= 10
