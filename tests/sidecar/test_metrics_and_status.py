"""What the pod shows of itself to Prometheus, to the operator and to people."""

from __future__ import annotations

import asyncio
import time

import httpx2
import pytest
from kit.fake_streams import BrokenBackplane, FakeStreams
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tidegate.contract.drain_settings import DrainSettings
from tidegate.contract.report import Report
from tidegate.contract.sidecar import SidecarSettings
from tidegate.contract.stream_settings import StreamSettings
from tidegate.drain.drain import Drain
from tidegate_sidecar.metrics import Metrics
from tidegate_sidecar.ports.admin import AdminPort
from tidegate_sidecar.reporting.report import Pod

Parts = tuple[Drain, FakeStreams, Metrics, Pod]


@pytest.fixture
def parts() -> Parts:
    streams = FakeStreams(5)
    streams.ended_total = {"client": 2, "drain": 1}
    streams.bounced_total = {"overloaded": 4, "drain": 3}
    streams.refused_total = {"too_many_streams": 6, "bad_topic": 5}
    backplane = BrokenBackplane()
    drain = Drain(DrainSettings(), StreamSettings())
    pod = Pod(SidecarSettings(), drain, streams, backplane, time.monotonic)
    return drain, streams, Metrics(drain, streams, backplane), pod


def test_every_metric_has_help_a_prefix_and_parses(parts: Parts) -> None:
    _, _, metrics, _ = parts
    metrics.published()
    metrics.refused("publish", "bad_json")
    families = {
        f.name: f
        for f in text_string_to_metric_families(generate_latest(metrics.registry).decode())
    }
    ours = {name for name in families if name.startswith("tidegate_")}
    assert {
        "tidegate_streams", "tidegate_streams_ended", "tidegate_pod_state", "tidegate_published",
        "tidegate_backplane_degraded", "tidegate_backplane_unavailable", "tidegate_engine_events",
        "tidegate_operator_answers", "tidegate_requests_refused",
    } <= ours  # fmt: skip
    assert all(family.documentation for family in families.values())
    assert {s.labels["cause"]: s.value for s in families["tidegate_streams_ended"].samples} == {
        "client": 2,
        "drain": 1,
    }
    by_reason = {s.labels["reason"]: s.value for s in families["tidegate_engine_bounces"].samples}
    by_error = {s.labels["error"]: s.value for s in families["tidegate_engine_refusals"].samples}
    assert by_reason == {"overloaded": 4, "drain": 3}
    assert by_error == {"too_many_streams": 6, "bad_topic": 5}
    (state,) = (s for s in families["tidegate_pod_state"].samples if s.value)
    assert state.labels["state"] == "starting"


def test_two_in_one_process_do_not_meet(parts: Parts) -> None:
    _, _, one, _ = parts
    other = Metrics(Drain(DrainSettings(), StreamSettings()), FakeStreams(), BrokenBackplane())
    one.published()
    assert other.registry.get_sample_value("tidegate_published_total") == 0


def test_status_is_the_next_report_and_more_and_does_not_count_as_one(parts: Parts) -> None:
    drain, _, _, pod = parts
    drain.filled()
    drain.prestop(time.monotonic())
    status = pod.status()
    report = Report.from_json(status)
    assert (report.state, report.streams, report.ended_total) == ("draining", 5, 3)
    assert report.degraded == "backplane"
    assert 24 < (report.deadline_in_s or 0.0) <= 25
    assert report.drain_started_s is not None
    assert report.drain_started_s < 1
    assert (pod.next_report().seq, pod.next_report().seq) == (1, 2)
    assert status["backplane"]["unavailable"] == 3
    assert status["bounced_by_reason"] == {"overloaded": 4, "drain": 3}
    assert status["refused_by_error"] == {"too_many_streams": 6, "bad_topic": 5}


async def prestop() -> None:
    raise AssertionError("nothing calls the hook")


async def test_ready_means_filled_once_and_the_log_may_go_away_after(parts: Parts) -> None:
    _, _, metrics, pod = parts
    filled = asyncio.Event()
    app = AdminPort(pod, filled.is_set, prestop, metrics, token="").app()
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://admin"
    ) as client:
        assert (await client.get("/readyz")).status_code == 503
        filled.set()
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/metrics")).text.startswith("# HELP")
        assert (await client.post("/readyz")).status_code == 405
