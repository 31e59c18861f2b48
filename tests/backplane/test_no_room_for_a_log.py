"""A NATS server without room for one more log: every place that shows a fault names it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import nats
import pytest
from backplane.conftest import World
from kit.fake_streams import BrokenBackplane, FakeStreams
from kit.nats_server import NatsServer
from kit.waiting import until
from nats.js.errors import APIError, ServerError

from tidegate.contract.drain_settings import DrainSettings
from tidegate.contract.report import Report
from tidegate.contract.sidecar import SidecarSettings
from tidegate.contract.stream_settings import StreamSettings
from tidegate.drain.drain import Drain
from tidegate_sidecar.backplane.jetstream.problems import problem_of
from tidegate_sidecar.backplane.jetstream.settings import JetStreamSettings
from tidegate_sidecar.metrics import Metrics
from tidegate_sidecar.ports.admin import AdminPort
from tidegate_sidecar.reporting.report import Pod

MIB = 2**20
SETTINGS = JetStreamSettings("nats://me:secret@n:4222, nats://m:4222", "APP", 10, 64 * MIB)


@pytest.fixture
async def small_world(tmp_path: Path) -> AsyncIterator[World]:
    """A server with room for one log of 100 MiB, not two."""
    server = NatsServer(tmp_path / "nats", more="jetstream { max_file_store: 150MB }")
    await server.start()
    world = World(server)
    yield world
    await world.stop()
    await server.stop()


async def test_a_pod_without_room_reports_why_and_goes_on_once_there_is_room(
    small_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "tidegate.backplane")
    await small_world.pod(stream="FIRST", ring_bytes=50 * MIB, kept_rings=2.0)
    late, reader = await small_world.pod(
        start=False, stream="LATE", ring_bytes=50 * MIB, kept_rings=2.0
    )
    await late.start(reader)
    await until(lambda: late.problem is not None and late.problem.word == "backplane-full")
    problem = late.problem
    assert problem is not None
    for words in ("LATE", "100 MiB", "raise nats.maxFileStore", "lower tidegate.dev/ring-bytes"):
        assert words in problem.text
    assert not reader.is_filled
    assert [r.getMessage() for r in caplog.records if "no room" in r.getMessage()] == [
        problem.text
    ], "logged once, not four times a second"
    async with await nats.connect(small_world.server.url) as connection:
        await connection.jetstream().delete_stream("FIRST")
    await reader.until(lambda r: r.is_filled)
    assert late.problem is None


async def prestop() -> None:
    raise AssertionError("nothing calls the hook")


async def test_readiness_status_and_report_name_the_cause() -> None:
    problem = problem_of(ServerError(500, "insufficient storage", 10047), SETTINGS)
    backplane = BrokenBackplane(problem=problem)
    drain, streams = Drain(DrainSettings(), StreamSettings()), FakeStreams(0)
    pod = Pod(SidecarSettings(), drain, streams, backplane, lambda: 0.0)
    filled = asyncio.Event()
    metrics = Metrics(drain, streams, backplane)
    app = AdminPort(pod, filled.is_set, prestop, metrics, token="").app()
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://admin"
    ) as client:
        readiness = await client.get("/readyz")
        filled.set()
        ready = await client.get("/readyz")
        status = (await client.get("/status")).json()
    assert readiness.status_code == 503
    assert (ready.status_code, ready.text) == (200, f"ok: {problem.text}\n")
    assert problem.text in readiness.text
    assert status["backplane"]["problem"] == problem.text
    assert Report.from_json(json.loads(json.dumps(status))).degraded == "backplane-full"


@pytest.mark.parametrize(
    ("error", "word", "words"),
    [
        (ServerError(500, "insufficient storage", 10047), "backplane-full", "128 MiB"),
        (APIError(400, "no suitable peers", 10005), "backplane-full", "raise nats.maxFileStore"),
        (APIError(400, "maximum streams", 10027), "backplane-full", "no more streams"),
        (APIError(503, "not enabled", 10076), "backplane", "start it with JetStream"),
        (OSError("refused"), "backplane", "cannot be used: refused"),
    ],
    ids=["storage", "peers", "streams", "no JetStream", "out of reach"],
)
def test_every_cause_has_its_text_and_no_password(error: Exception, word: str, words: str) -> None:
    problem = problem_of(error, SETTINGS)
    assert problem is not None
    assert problem.word == word
    assert words in problem.text
    assert "nats://n:4222, nats://m:4222" in problem.text
    assert "secret" not in problem.text
