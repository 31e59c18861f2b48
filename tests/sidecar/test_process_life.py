"""A real process: how it begins, drains, ends, and what it says when it cannot begin."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time

import pytest
from kit.sidecar_process import LIMIT_S, SidecarProcess

QUICK = {"TIDEGATE_GRACE_S": "7", "TIDEGATE_RESERVE_S": "5", "TIDEGATE_LINGER_S": "1"}


async def test_it_says_where_it_listens_serves_and_delivers() -> None:
    async with SidecarProcess() as sidecar:
        assert sidecar.listening["event"] == "listening"
        await sidecar.until_ready()
        stream = await sidecar.stream("/sse/subscribe/42?topic=a")
        answer = await sidecar.publish("hello", {"client": "42"})
        assert answer.status_code == 202
        await stream.until(b"data: hello")
        assert f"id: {answer.json()['id']}".encode() in stream.received
        assert (await sidecar.get("publish", "/clients")).json()["clients"] == {"42": 1}
        sidecar.signal()
        assert b"stopping" in await stream.until_end()
        assert await sidecar.exit_status() == 0


async def test_publish_and_admin_are_not_on_the_public_port() -> None:
    async with SidecarProcess() as sidecar:
        for path in ("/publish", "/clients", "/metrics", "/status", "/drain/pod", "/readyz"):
            answer = await sidecar.get("public", path)
            assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
        assert (await sidecar.get("public", "/")).status_code == 200


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
async def test_a_signal_without_a_hook_says_goodbye_to_all_within_its_limit(
    number: signal.Signals, loop: str
) -> None:
    async with SidecarProcess(loop) as sidecar:
        streams = [await sidecar.stream() for _ in range(40)]
        sidecar.signal(number)
        sidecar.signal(number)
        texts = await asyncio.gather(*(stream.until_end() for stream in streams))
        for stream, text in zip(streams, texts, strict=True):
            assert b'"reason":"stopping"' in text
            assert stream.is_complete
        assert await sidecar.exit_status() == 0


async def test_until_the_last_stream_is_gone_every_port_answers() -> None:
    async with SidecarProcess() as sidecar:
        streams = [await sidecar.stream() for _ in range(20)]
        sidecar.signal()
        await streams[0].until_end()
        assert (await sidecar.publish("still here")).status_code == 202
        assert (await sidecar.get("admin", "/livez")).status_code == 200
        assert (await sidecar.get("public", "/")).status_code == 200
        await streams[-1].until(b"data: still here")
        await streams[-1].until(b"event: shutdown")


async def test_SIGTERM_before_it_listens_is_a_good_end_too() -> None:
    sidecar = SidecarProcess()
    await sidecar.start()
    try:
        await sidecar.until_it_catches(signal.SIGTERM)
        sidecar.signal()
        assert await sidecar.exit_status() == 0
    finally:
        await sidecar.end()


async def test_empty_it_ends_at_once() -> None:
    async with SidecarProcess(TIDEGATE_GRACE_S="600", TIDEGATE_LINGER_S="300") as sidecar:
        sidecar.signal()
        assert await sidecar.exit_status() == 0


async def test_the_hook_drains_lingers_may_be_called_twice_and_ends_nothing() -> None:
    async with SidecarProcess(**QUICK) as sidecar:
        streams = [await sidecar.stream() for _ in range(20)]
        started = time.monotonic()
        first = asyncio.create_task(sidecar.drain())
        second = asyncio.create_task(sidecar.http.post(sidecar.url("admin", "/drain/pod")))
        texts = await asyncio.gather(*(stream.until_end() for stream in streams))
        for stream, text in zip(streams, texts, strict=True):
            assert b'"reason":"drain"' in text
            assert stream.is_complete
        for answer in (await first, await second):
            assert (answer.status_code, answer.json()["state"]) == (200, "drained")
        assert time.monotonic() - started >= 1.0
        bounced = await sidecar.stream(read=False)
        assert b"event: connected" not in await bounced.until_end()
        assert b"200 OK" in bounced.received
        assert (await sidecar.get("admin", "/readyz")).status_code == 200, "never taken back"
        assert (await sidecar.drain()).status_code == 200
        assert sidecar.process.returncode is None
        sidecar.signal()
        assert await sidecar.exit_status() == 0


async def test_the_hook_of_an_empty_pod_lingers() -> None:
    async with SidecarProcess(**QUICK) as sidecar:
        started = time.monotonic()
        await sidecar.drain()
        assert time.monotonic() - started >= 0.99


async def test_the_hook_wants_the_pods_token() -> None:
    async with SidecarProcess(**QUICK, TIDEGATE_POD_TOKEN="s3cret") as sidecar:
        for headers in ({}, {"X-Tidegate-Token": "wrong"}):
            answer = await sidecar.drain(headers=headers)
            assert (answer.status_code, answer.json()["error"]) == (403, "bad_token")
        assert (await sidecar.get("admin", "/status")).json()["state"] == "ready"
        right = {"X-Tidegate-Token": "s3cret"}
        by_get = await sidecar.get("admin", "/drain/pod", headers=right)  # as the kubelet calls it
        assert by_get.status_code == 200
        assert (await sidecar.drain(headers=right)).status_code == 200


async def test_SIGTERM_in_mid_drain_answers_the_hook_and_ends_the_rest() -> None:
    async with SidecarProcess(TIDEGATE_GRACE_S="60", TIDEGATE_LOCAL_WINDOW_S="50") as sidecar:
        streams = [await sidecar.stream() for _ in range(40)]
        hook = asyncio.create_task(sidecar.drain())
        await streams[0].until(b"event: shutdown")
        sidecar.signal()
        texts = await asyncio.gather(*(stream.until_end() for stream in streams))
        assert sum(b"event: shutdown" in text for text in texts) == 40
        assert (await hook).status_code == 200
        assert await sidecar.exit_status() == 0


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_a_peer_that_does_not_read_holds_nothing_up(loop: str) -> None:
    async with SidecarProcess(loop, TIDEGATE_MAX_EVENT_BYTES="262144") as sidecar:
        deaf = await sidecar.stream(read=False)
        handover = await sidecar.stream("/events?topic=a&handover=1")
        plain = await sidecar.stream()
        big = "x" * 200_000
        for _ in range(60):
            assert (await sidecar.publish(big)).status_code == 202
        drained = asyncio.create_task(plain.until_end())
        sidecar.signal()
        assert b"event: shutdown" in await drained
        assert await sidecar.exit_status() == 0
        assert not deaf.ended
        assert not handover.ended
        assert b"ended 2 streams whose clients did not read" in await sidecar.stderr.read()


async def test_cut_is_a_stock_server_no_goodbye_at_SIGTERM() -> None:
    async with SidecarProcess(TIDEGATE_DRAIN="cut", TIDEGATE_RETRY="off") as sidecar:
        stream = await sidecar.stream()
        assert (await sidecar.drain()).status_code == 200
        late = await sidecar.stream()
        sidecar.signal()
        for one in (stream, late):
            with pytest.raises((ConnectionError, AssertionError)):
                await one.until(b"event: shutdown")
            assert b"retry:" not in one.received
            assert not one.is_complete
        assert await sidecar.exit_status() == 0


async def test_fixed_says_goodbye_to_all_at_once_with_its_retry() -> None:
    async with SidecarProcess(TIDEGATE_DRAIN="fixed", TIDEGATE_LINGER_S="0") as sidecar:
        streams = [await sidecar.stream() for _ in range(10)]
        assert (await sidecar.drain()).status_code == 200
        for stream in streams:
            assert b"retry: 5000" in await stream.until_end()


async def test_a_port_in_use_is_one_clear_line_and_exit_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        sidecar = SidecarProcess(TIDEGATE_ADMIN_PORT=port)
        await sidecar.start()
        out, err = await asyncio.wait_for(sidecar.process.communicate(), LIMIT_S)
        await sidecar.http.aclose()
    assert (sidecar.process.returncode, out) == (2, b"")
    assert err.decode().splitlines() == [
        f"tidegate sidecar: TIDEGATE_ADMIN_PORT: cannot listen on 127.0.0.1 port {port}: "
        "Address already in use"
    ]


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"TIDEGATE_GRACE_S": "soon"},
            "TIDEGATE_GRACE_S: must be a number from 1 to 86400 seconds, not 'soon'",
        ),
        (
            {"TIDEGATE_OPERATOR_URL": "http://op:1", "TIDEGATE_OPERATOR_TOKEN_FILE": "/no/such"},
            "TIDEGATE_OPERATOR_TOKEN_FILE: cannot be read: "
            "[Errno 2] No such file or directory: '/no/such'",
        ),
    ],
    ids=["value", "file"],
)
async def test_a_bad_setting_is_one_clear_line_and_exit_2(
    settings: dict[str, str], line: str
) -> None:
    sidecar = SidecarProcess(**settings)
    await sidecar.start()
    out, err = await asyncio.wait_for(sidecar.process.communicate(), LIMIT_S)
    await sidecar.http.aclose()
    assert (sidecar.process.returncode, out) == (2, b"")
    assert err.decode().splitlines() == [f"tidegate sidecar: {line}"]


async def test_without_a_broker_it_bounces_is_not_ready_and_still_ends_well() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with SidecarProcess(TIDEGATE_BACKPLANE=f"nats://127.0.0.1:{port}") as sidecar:
        assert (await sidecar.get("admin", "/readyz")).status_code == 503
        assert (await sidecar.get("admin", "/livez")).status_code == 200
        early = await sidecar.stream(read=False)
        assert b'"reason":"starting"' in await early.until_end()
        answer = await sidecar.publish("x")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert (await sidecar.get("admin", "/status")).json()["degraded"] == "backplane"
        sidecar.signal()
        assert await sidecar.exit_status() == 0


async def test_logs_are_json_lines_and_warn_of_unknown_settings() -> None:
    async with SidecarProcess(TIDEGATE_HEARTBEET_S="3") as sidecar:
        sidecar.signal()
        _, err = await asyncio.wait_for(sidecar.process.communicate(), LIMIT_S)
    lines = [json.loads(line) for line in err.splitlines()]
    assert any("did you mean TIDEGATE_HEARTBEAT_S?" in line["message"] for line in lines)
    assert {"time", "level", "logger", "message"} <= set(lines[-1])


async def test_a_slow_request_head_is_not_waited_for() -> None:
    async with SidecarProcess(TIDEGATE_HANDSHAKE_TIMEOUT_S="0.3") as sidecar:
        reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.listening["public"])
        writer.write(b"GET /events?topic=a HTTP/1.1\r\nHost: te")
        await asyncio.wait_for(reader.read(), LIMIT_S)  # to the end: the server has closed it
        writer.close()
        await writer.wait_closed()
        metrics = (await sidecar.get("admin", "/metrics")).text
        assert 'tidegate_port_refused_total{port="public",reason="slow_head"} 1.0' in metrics


async def test_too_large_a_head_is_refused() -> None:
    async with SidecarProcess(TIDEGATE_MAX_HEADER_BYTES="2000") as sidecar:
        big = {"X-Big": "x" * 3000}
        for path in ("/events?topic=a", "/"):
            answer = await sidecar.get("public", path, headers=big)
            assert answer.status_code == 431
            assert set(answer.json()) == {"error", "detail", "field"}


async def test_a_draining_pod_closes_after_every_ordinary_answer() -> None:
    async with SidecarProcess(**QUICK) as sidecar:
        assert "connection" not in (await sidecar.get("public", "/")).headers
        hook = asyncio.create_task(sidecar.drain())
        await sidecar.until_state("drained")
        assert (await sidecar.get("public", "/")).headers["connection"] == "close"
        await hook
