"""nginx and HAProxy let streams through at once, and leave quiet ones open."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from kit.front_door import FrontDoor
from kit.sidecar_process import SidecarProcess
from proxies.doors import ADDED_S, AT_ONCE_S, Through, door, mute_reader
from proxies.programs import NGINX_BARE, nginx

KINDS = ["nginx-buffering-on", "nginx-buffering-off", "haproxy"]
SHOP = "https://shop.example"
IDLE = "1500ms"
"""Shorter than two heartbeats of one second, longer than one."""

EVENT, EVENTS = "x" * 200_000, 160
"""32 MB: more than all socket buffers on the way hold, less than a buffering nginx would take."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pod() -> AsyncIterator[SidecarProcess]:
    async with SidecarProcess(TIDEGATE_HEARTBEAT_S="1", TIDEGATE_CORS_ORIGINS=SHOP) as sidecar:
        await sidecar.until_ready()
        yield sidecar


@pytest.mark.parametrize("kind", KINDS)
async def test_bytes_come_at_once_and_heartbeats_hold_a_quiet_stream(
    pod: SidecarProcess, kind: str, tmp_path: Path
) -> None:
    async with door(kind, tmp_path, pod, idle=IDLE) as port:
        stream = await Through().open(port, pod)
        assert await stream.until_event("event: connected") < AT_ONCE_S
        assert "content-type: text/event-stream; charset=utf-8" in stream.head
        assert "cache-control: no-cache, no-transform" in stream.head
        assert "vary: origin" in stream.head
        direct = await Through().open(pod.listening["public"], pod)
        await direct.until_event("event: connected")
        added_s = []
        for number in range(5):
            await pod.publish(f"event {number}")
            text = f"data: event {number}"
            through_s, direct_s = await asyncio.gather(
                stream.until_event(text), direct.until_event(text)
            )
            assert through_s < AT_ONCE_S
            added_s.append(through_s - direct_s)
        assert min(added_s) < ADDED_S
        if kind != "nginx-buffering-off":  # the same program once more, and heartbeats take time
            await stream.until_heartbeats(2)
        await pod.publish("last")
        assert await stream.until_event("data: last") < AT_ONCE_S
        assert stream.data == [*(f"event {number}" for number in range(5)), "last"]


@pytest.mark.parametrize("kind", ["nginx-buffering-on", "haproxy"])
async def test_a_silence_beyond_the_timeout_is_cut_by_the_proxy(
    pod: SidecarProcess, kind: str, tmp_path: Path
) -> None:
    """Which is why the heartbeat has to be the more frequent one."""
    async with door(kind, tmp_path, pod, idle="300ms") as port:
        stream = await Through().open(port, pod)
        cut = (await stream.until_over()).decode()
        assert "event: connected" in cut
        assert "event: shutdown" not in cut
        assert not stream.raw.is_complete


@pytest.mark.parametrize("kind", ["nginx-buffering-on", "haproxy"])
async def test_a_client_that_does_not_read_stalls_at_the_sidecar_and_not_in_the_proxy(
    pod: SidecarProcess, kind: str, tmp_path: Path
) -> None:
    """A proxy that took everything would keep events of a dead client, unseen by the sidecar."""
    async with door(kind, tmp_path, pod) as port, mute_reader(port, f"/sse/subscribe/{kind}"):
        async with asyncio.timeout(60):
            while not await _held_by(pod, kind):  # noqa: ASYNC110 - the pod is polled
                await asyncio.sleep(0.01)
            for _ in range(EVENTS):
                head = (await pod.publish(EVENT)).json()["id"]
            before = None
            while (now := (await _held_by(pod, kind))[0]) != before:
                await asyncio.sleep(0.3)
                before = now
        assert now["lagging"]
        assert now["cursor"] != head


async def _held_by(pod: SidecarProcess, client: str) -> list[dict[str, Any]]:
    """The client's streams, as the sidecar knows them; their age changes and is left out."""
    listed = (await pod.get("publish", f"/clients/{client}")).json().get("streams", [])
    return [{key: stream[key] for key in ("cursor", "lagging")} for stream in listed]


async def test_nginx_does_not_shun_a_sidecar_that_is_back(
    pod: SidecarProcess, tmp_path: Path
) -> None:
    """Two restarts within the ten seconds of nginx's default would be a 502."""
    way = FrontDoor(pod.listening["public"])
    first, second = [await asyncio.start_server(way.handle, "127.0.0.1", 0) for _ in range(2)]
    ports = [server.sockets[0].getsockname()[1] for server in (first, second)]
    values = {f"STREAMS_{n}": f"127.0.0.1:{port}" for n, port in enumerate(ports, start=1)}
    async with nginx(tmp_path / "nginx", values) as port:
        url = f"http://127.0.0.1:{port}/events"
        first.close()
        assert [(await pod.http.head(url)).status_code for _ in range(4)] == [200] * 4
        first = await asyncio.start_server(way.handle, "127.0.0.1", ports[0])
        second.close()
        assert [(await pod.http.head(url)).status_code for _ in range(4)] == [200] * 4
    first.close()


async def test_nginx_in_http_1_0_streams_answers_preflights_and_hides_a_crash(
    tmp_path: Path,
) -> None:
    async with SidecarProcess(TIDEGATE_CORS_ORIGINS=SHOP) as pod:
        address = f"127.0.0.1:{pod.listening['public']}"
        places = {"STREAMS_1": address, "STREAMS_2": address}
        async with (
            nginx(tmp_path / "bare", places, template=NGINX_BARE) as bare,
            nginx(tmp_path / "documented", places) as documented,
        ):
            await pod.until_ready()
            asked = {"Origin": SHOP, "Access-Control-Request-Method": "GET"}
            url = f"http://127.0.0.1:{bare}/events"
            answers = [
                await pod.http.options(url, headers=asked),
                await pod.http.head(url, headers=asked),
                await pod.http.get(f"{url}?topic=", headers=asked),
            ]
            assert [answer.status_code for answer in answers] == [204, 200, 400]
            for answer in answers:
                assert answer.headers["access-control-allow-origin"] == SHOP
            streams = [await Through().open(port, pod) for port in (bare, documented)]
            for stream in streams:
                assert await stream.until_event("event: connected") < AT_ONCE_S
            pod.signal(signal.SIGKILL)
            for stream in streams:
                await stream.until_over()
            assert [stream.raw.is_complete for stream in streams] == [True, False]
