"""The report API over real HTTP: who may report, what is refused, and the held request."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from kit.authority import Authority
from kit.clocks import Clock
from kit.waiting import until
from operator_shell.fakes import FakeCluster, pod, report

from tidegate.contract.errors import SettingsError
from tidegate.contract.report import Plan
from tidegate_operator.meters import Meters
from tidegate_operator.report_api import report_app, report_server
from tidegate_operator.reports import PodPlan, ReportBook

TOKEN = {"Authorization": "Bearer token-a"}


@pytest.fixture
def book() -> ReportBook:
    return ReportBook(Clock(), hold_s=30.0)


@pytest.fixture
def meters() -> Meters:
    return Meters()


@pytest.fixture
async def http(book: ReportBook, meters: Meters) -> AsyncIterator[httpx2.AsyncClient]:
    cluster = FakeCluster([pod("a")])
    server = report_server(report_app(cluster, book, meters), "127.0.0.1")
    port = await server.start()
    try:
        async with httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", trust_env=False
        ) as client:
            yield client
    finally:
        book.close()
        await server.stop()


async def test_a_report_is_held_until_there_is_a_decision(
    http: httpx2.AsyncClient, book: ReportBook
) -> None:
    posted = asyncio.create_task(http.post("/v1/report", json=report("a").to_json(), headers=TOKEN))
    await until(lambda: book.latest("a") is not None)
    book.decide("a", PodPlan(plan=Plan("wait")))
    answer = (await posted).json()
    assert answer["seq"] == 1
    assert answer["plan"]["kind"] == "wait"


@pytest.mark.parametrize(
    ("headers", "body", "status", "error", "field"),
    [
        ({}, report("a").to_json(), 401, "unauthorized", None),
        ({"Authorization": "Bearer x"}, report("a").to_json(), 401, "unauthorized", None),
        (TOKEN, report("b").to_json(), 403, "wrong_pod", "uid"),
        (TOKEN, {**report("a").to_json(), "streams": -1}, 400, "bad_report", "streams"),
        (TOKEN, {**report("a").to_json(), "schema": 99}, 400, "bad_report", "schema"),
        (TOKEN, [1], 400, "bad_report", None),
        (TOKEN, {"x": "y" * 70_000}, 413, "body_too_large", None),
    ],
)
async def test_what_is_refused(
    http: httpx2.AsyncClient,
    headers: dict[str, str],
    body: object,
    status: int,
    error: str,
    field: str | None,
) -> None:
    answer = await http.post("/v1/report", json=body, headers=headers)
    assert answer.status_code == status
    said = answer.json()
    assert (said["error"], said["field"]) == (error, field)
    assert said["detail"]


async def test_not_json(http: httpx2.AsyncClient) -> None:
    answer = await http.post("/v1/report", content=b"{", headers=TOKEN)
    assert (answer.status_code, answer.json()["error"]) == (400, "bad_json")


async def test_life_and_metrics(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/livez")).status_code == 200
    await http.post("/v1/report", content=b"{", headers=TOKEN)
    text = (await http.get("/metrics")).text
    assert 'tidegate_operator_reports_refused_total{reason="bad_json"} 1.0' in text


async def test_a_sidecar_that_hangs_up_frees_its_place(
    http: httpx2.AsyncClient, meters: Meters
) -> None:
    with pytest.raises(httpx2.ReadTimeout):
        await http.post("/v1/report", json=report("a").to_json(), headers=TOKEN, timeout=0.2)
    held = meters.registry.get_sample_value
    await until(lambda: held("tidegate_operator_reports_held") == 0)


async def test_a_port_in_use_is_said_in_one_line(book: ReportBook) -> None:
    app = report_app(FakeCluster([]), book, Meters())
    first = report_server(app, "127.0.0.1")
    port = await first.start()
    try:
        with pytest.raises(SettingsError, match=str(port)):
            await report_server(app, "127.0.0.1", port).start()
    finally:
        await first.stop()


async def test_a_sidecar_that_hangs_up_in_mid_report_leaves_no_traceback(
    http: httpx2.AsyncClient, meters: Meters, caplog: pytest.LogCaptureFixture
) -> None:
    url = httpx2.URL(str(http.base_url))
    head = b"POST /v1/report HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer token-a\r\n"
    _, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(head + b"Content-Length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()
    refused = meters.registry.get_sample_value
    reason = {"reason": "incomplete_body"}
    await until(lambda: refused("tidegate_operator_reports_refused_total", reason) == 1)
    assert [r for r in caplog.records if r.exc_info] == []


async def test_it_listens_on_ipv6_and_speaks_tls(book: ReportBook, tmp_path: Path) -> None:
    authority = Authority("operator")
    authority.write(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    server = report_server(report_app(FakeCluster([]), book, Meters()), "::1", tls=context)
    port = await server.start()
    try:
        async with authority.client() as client:
            answer = await client.get(
                f"https://[::1]:{port}/livez", extensions={"sni_hostname": "localhost"}
            )
        assert answer.status_code == 200
    finally:
        await server.stop()
