"""The acknowledging Python client against scripted answers: what is done is sent, once, in time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from client.scripted_server import connected, event
from kit.waiting import until

from tidegate.contract.errors import SettingsError
from tidegate_client import AcknowledgingSseClient, Settings

pytestmark = pytest.mark.virtual_time

URL = "http://pod/sse/subscribe/42?stream=orders&topic=a"
FAST = Settings(initial_delay_ms=10)


class Pod:
    """Streams what is put into it, and answers acknowledgements with `statuses`, then 204."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = [*statuses]
        self.acks: list[str] = []
        self.requests: list[httpx2.Request] = []
        self.answering = asyncio.Event()
        self.answering.set()
        self.texts: asyncio.Queue[str] = asyncio.Queue()
        self.http = httpx2.AsyncClient(transport=httpx2.MockTransport(self.handle))

    async def handle(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "GET":
            head = {"content-type": "text/event-stream"}
            return httpx2.Response(200, headers=head, content=self._stream())
        self.requests.append(request)
        self.acks.append(json.loads(request.content)["id"])
        await self.answering.wait()
        return httpx2.Response(self.statuses.pop(0) if self.statuses else 204)

    async def _stream(self) -> AsyncIterator[bytes]:
        yield connected("a", "e-0").encode()
        while True:
            yield (await self.texts.get()).encode()

    def write(self, *texts: str) -> None:
        self.texts.put_nowait("".join(texts))

    def client(self, **options: Any) -> AcknowledgingSseClient:
        fast: dict[str, Any] = {"acknowledge_every_ms": 0, "settings": FAST, "http": self.http}
        return AcknowledgingSseClient(URL, **fast | options)


@pytest.mark.parametrize(
    "url", ["http://p/events", "http://p/s/42?stream=", "http://p/s?stream=a/b"]
)
def test_a_url_must_name_its_stream(url: str) -> None:
    with pytest.raises(SettingsError, match="stream=NAME"):
        AcknowledgingSseClient(url)


def test_an_interval_must_be_one() -> None:
    for interval in (-1, float("nan")):
        with pytest.raises(SettingsError, match="acknowledge_every_ms"):
            AcknowledgingSseClient(URL, acknowledge_every_ms=interval)


async def test_the_beginning_and_then_what_the_loop_is_done_with() -> None:
    pod = Pod()
    async with pod.client() as client:
        next_event = asyncio.ensure_future(anext(client))
        await until(lambda: client.acknowledged == "e-0")
        pod.write(event("e-1"), event("e-2"), event("e-2", "{}", "cursor"))
        assert (await next_event).id == "e-1"
        await client.flush()
        assert pod.acks == ["e-0"], "handed out is not done"
        assert (await anext(client)).id == "e-2"
        await until(lambda: client.acknowledged == "e-1")
        waiting = asyncio.ensure_future(anext(client))
        await until(lambda: client.acknowledged == "e-2")
        pod.write(event("e-5", "{}", "cursor"))
        await until(lambda: client.acknowledged == "e-5")
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    request = pod.requests[0]
    assert str(request.url) == "http://pod/sse/subscribe/42/ack?stream=orders&topic=a"
    assert request.headers["content-type"] == "application/json"


async def test_an_error_in_the_loop_leaves_its_event_undone_and_sends_what_was_done() -> None:
    pod = Pod()
    pod.write(event("e-1"), event("e-2"))

    async def run() -> None:
        async with pod.client(acknowledge_every_ms=60_000) as client:
            async for received in client:
                if received.id == "e-2":
                    raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await run()
    assert pod.acks == ["e-1"]


async def test_the_servers_words_are_yielded_when_asked_for() -> None:
    pod = Pod()
    pod.write(event("e-1"))
    async with pod.client(controls=True) as client:
        assert [(await anext(client)).type for _ in range(2)] == ["connected", "message"]
        await until(lambda: client.acknowledged == "e-0")


async def test_with_automatic_off_only_the_application_acknowledges() -> None:
    pod = Pod()
    pod.write(event("e-1"), event("e-2"), event("e-3"))
    async with pod.client(automatic=False) as client:
        first = await anext(client)
        await anext(client)
        client.acknowledge(first)
        assert await client.flush()
        client.acknowledge("e-2")
        await anext(client)
    assert pod.acks == ["e-1", "e-2"]


async def test_what_fails_is_tried_again_and_what_is_refused_is_let_go() -> None:
    pod = Pod(503, 400)
    async with pod.client(automatic=False) as client:
        client.acknowledge("e-1")
        await until(lambda: client.ack_status == 400)
        assert pod.acks == ["e-1", "e-1"]
        assert client.acknowledged == ""
        client.acknowledge("e-2")
        assert await client.flush()
    assert pod.acks == ["e-1", "e-1", "e-2"]


async def test_new_headers_are_made_after_a_refusal() -> None:
    pod = Pod(401)
    asked: list[int] = []

    async def headers(refused: int) -> dict[str, str]:
        asked.append(refused)
        return {"authorization": f"token {len(asked)}"}

    async with pod.client(automatic=False, headers=headers) as client:
        await until(lambda: client.last_event_id == "e-0")
        client.acknowledge("e-1")
        await until(lambda: client.acknowledged == "e-1")
    assert asked == [0, 0, 401]
    assert pod.requests[-1].headers["authorization"] == "token 3"


async def test_a_busy_stream_is_acknowledged_once_an_interval() -> None:
    pod = Pod()
    pod.answering.clear()
    async with pod.client(acknowledge_every_ms=20) as client:
        pod.write(*(event(f"e-{n}") for n in range(1, 51)))
        async with asyncio.timeout(10):
            for _ in range(50):
                await anext(client)
                await until(lambda: pod.acks != [])
        pod.answering.set()
        await until(lambda: client.acknowledged == "e-49")
    assert pod.acks == ["e-0", "e-49"]


async def test_closing_does_not_wait_for_a_server_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pod = Pod()
    pod.answering.clear()
    started = time.monotonic()
    async with pod.client(automatic=False) as client:
        client.acknowledge("e-1")
        assert not await client.flush(limit_s=0.05)
        monkeypatch.setattr(AcknowledgingSseClient.flush, "__defaults__", (0.05,))
    assert time.monotonic() - started < 5
    assert client.ready_state == "closed"


async def test_without_an_answer_the_status_is_none() -> None:
    def fail(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("no network", request=request)

    async with httpx2.AsyncClient(transport=httpx2.MockTransport(fail)) as http:
        client = AcknowledgingSseClient(URL, http=http, settings=FAST)
        client.acknowledge("e-1")
        assert not await client.flush(limit_s=0.1)
        assert client.ack_status == 0
        await client.aclose()
