"""Where the Python client goes on: behind what was handed over, before what was not handled."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from client.scripted_server import ScriptedServer, event, refused, scripted, stream
from client.test_python_sync_client import in_a_thread
from kit.waiting import until

from tidegate_client import (
    AcknowledgingSseClient,
    Settings,
    SseClient,
    StreamStoppedError,
    SyncSseClient,
)

FAST = Settings(initial_delay_ms=10)
MANY = 60


def numbered(first: int, last: int) -> str:
    return "".join(event(f"e-{number}", str(number)) for number in range(first, last + 1))


def last_ids(server: ScriptedServer) -> list[bytes | None]:
    return [request.headers.get(b"last-event-id") for request in server.requests]


class Replaying:
    """A server over a log of `MANY` events that replays behind the Last-Event-ID and keeps acks."""

    def __init__(self) -> None:
        self.kept = ""
        self.acks: list[str] = []
        self.resumed: list[str] = []

    async def handle(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            self.kept = json.loads(request.content)["id"]
            self.acks.append(self.kept)
            return httpx2.Response(204)
        after = request.headers.get("last-event-id", self.kept)
        self.resumed.append(after)
        head = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=head, content=self._stream(after))

    async def _stream(self, after: str) -> AsyncIterator[bytes]:
        yield numbered(int(after.removeprefix("e-") or 0) + 1, MANY).encode()
        await asyncio.Event().wait()

    def client(self, **options: Any) -> AcknowledgingSseClient:
        def make() -> httpx2.AsyncClient:
            return httpx2.AsyncClient(transport=httpx2.MockTransport(self.handle))

        url = "http://pod/sse/subscribe/42?stream=orders"
        fast: dict[str, Any] = {"acknowledge_every_ms": 0, "settings": FAST, "http": make}
        return AcknowledgingSseClient(url, **fast | options)


async def loop(client: SseClient, until_number: int, handled: list[int]) -> None:
    async with asyncio.timeout(10):
        async for received in client:
            handled.append(int(received.data))
            if handled[-1] == until_number:
                break


async def test_a_loop_that_was_left_goes_on_with_the_next_event() -> None:
    handled: list[int] = []
    async with scripted(stream(numbered(1, MANY))) as server, SseClient(server.url) as client:
        await loop(client, 3, handled)
        assert client.last_event_id == "e-3"
        await loop(client, 6, handled)
    assert handled == [1, 2, 3, 4, 5, 6]
    assert len(server.requests) == 1


async def test_a_block_entered_again_resumes_behind_what_was_handed_over() -> None:
    handled: list[int] = []
    async with scripted(stream(numbered(1, MANY)), stream(numbered(4, MANY))) as server:
        client = SseClient(server.url)
        async with client:
            await loop(client, 3, handled)
        assert client.last_event_id == "e-3"
        async with client:
            await loop(client, 5, handled)
    assert handled == [1, 2, 3, 4, 5]
    assert last_ids(server) == [None, b"e-3"]


async def test_reconnecting_keeps_what_waits_and_resumes_behind_what_was_received() -> None:
    handled: list[int] = []
    answers = (stream(numbered(1, 9)), stream(numbered(10, 12)))
    async with scripted(*answers) as server, SseClient(server.url) as client:
        await loop(client, 3, handled)
        client.reconnect()
        await loop(client, 12, handled)
    assert handled == [*range(1, 13)]
    assert last_ids(server) == [None, b"e-9"]


async def test_cancelling_a_loop_that_waits_takes_nothing_from_the_next_one() -> None:
    gate = asyncio.Event()

    async def later(request: Any, writer: asyncio.StreamWriter) -> None:
        await stream()(request, writer)
        await gate.wait()
        writer.write(numbered(1, 3).encode())

    handled: list[int] = []
    async with scripted(later) as server, SseClient(server.url) as client:
        waiting = asyncio.create_task(loop(client, 3, []))
        await until(lambda: client.ready_state == "open")
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        gate.set()
        await loop(client, 3, handled)
    assert handled == [1, 2, 3]


async def test_the_synchronous_client_resumes_behind_what_was_handed_over() -> None:
    def follow(url: str) -> list[str]:
        seen: list[str] = []
        client = SyncSseClient(url)
        for last in ("2", "4"):
            with client:
                for received in client:
                    seen.append(received.data)
                    if received.data == last:
                        break
                for received in client:
                    seen.append(received.data)
                    break
            seen.append(client.last_event_id)
        return seen

    answers = (stream(numbered(1, MANY)), stream(numbered(4, MANY)))
    async with scripted(*answers) as server:
        seen = await in_a_thread(lambda: follow(server.url))
    assert seen == ["1", "2", "3", "e-3", "4", "5", "e-5"]
    assert last_ids(server) == [None, b"e-3"]


async def test_an_interrupted_wait_in_a_thread_takes_nothing_from_the_next_loop() -> None:
    gate = asyncio.Event()
    running = asyncio.get_running_loop()

    async def later(request: Any, writer: asyncio.StreamWriter) -> None:
        await stream()(request, writer)
        await gate.wait()
        writer.write(numbered(1, 2).encode())

    def follow(url: str) -> list[str]:
        with SyncSseClient(url) as client:
            portal = client._portal
            assert portal is not None
            future = portal.start_task_soon(client._next)  # what Ctrl-C gives up
            future.cancel()
            running.call_soon_threadsafe(gate.set)
            return [next(client).data, next(client).data]

    async with scripted(later) as server:
        assert await in_a_thread(lambda: follow(server.url)) == ["1", "2"]


async def worker(client: AcknowledgingSseClient, handled: list[int], how: str = "") -> None:
    """Handle up to `MANY`, or leave at 4 in the way that is asked for."""
    async for received in client:
        number = int(received.data)
        if how and number == 4:
            if how == "break":
                break
            if how == "error":
                raise ValueError("a database hiccup")
            raise asyncio.CancelledError
        handled.append(number)
        if number == MANY:
            break


@pytest.mark.parametrize("how", ["break", "error", "cancellation"])
@pytest.mark.parametrize("again", ["the same block", "a block entered again", "a new life"])
async def test_an_event_left_unfinished_is_not_acknowledged_and_comes_again(
    how: str, again: str
) -> None:
    pod = Replaying()
    handled: list[int] = []
    first = pod.client()

    async with asyncio.timeout(20):
        async with first:
            with contextlib.suppress(ValueError, asyncio.CancelledError):
                await worker(first, handled, how)
            await first.flush()
            assert handled == [1, 2, 3]
            assert first.acknowledged == "e-3"
            if again == "the same block":
                await worker(first, handled)
        if again != "the same block":
            second = first if again == "a block entered again" else pod.client()
            async with second:
                await worker(second, handled)
    assert handled == [*range(1, MANY + 1)]
    assert max(int(ack.removeprefix("e-")) for ack in pod.acks) < MANY, "the last was left"


async def test_an_event_acknowledged_by_hand_does_not_come_again() -> None:
    pod = Replaying()
    async with pod.client() as client:
        async for received in client:
            if received.data == "2":
                client.acknowledge(received)
                break
        assert (await anext(aiter(client))).data == "3"
        await client.flush()
        assert client.acknowledged == "e-2"


async def test_the_next_life_begins_behind_what_was_handled() -> None:
    pod = Replaying()
    handled: list[int] = []
    async with pod.client() as client:
        await loop(client, 5, handled)
    async with pod.client() as client:
        await loop(client, 7, handled)
    assert handled == [1, 2, 3, 4, 5, 5, 6, 7]
    assert pod.resumed == ["", "e-4"]


async def test_a_new_loop_asks_anew_where_the_client_had_given_up() -> None:
    settings = Settings(initial_delay_ms=5, max_attempts=1)
    answers = (refused(503), refused(503), refused(404), refused(204), stream(event("e-1")))
    async with scripted(*answers) as server, SseClient(server.url, settings=settings) as client:
        reasons = []
        for _ in range(2):
            with pytest.raises(StreamStoppedError) as stopped:
                await loop(client, 1, [])
            reasons.append(stopped.value.reason)
        assert reasons == ["exhausted", "refused"]
        assert [received async for received in client] == []  # 204
        async for received in client:
            assert received.id == "e-1"
            break


@pytest.mark.parametrize("kind", ["async", "thread"])
async def test_iterating_without_a_block_fails_loudly(kind: str) -> None:
    if kind == "thread":
        with pytest.raises(RuntimeError, match="with block"):
            list(SyncSseClient("http://127.0.0.1:1/"))
        return
    client = SseClient("http://127.0.0.1:1/")
    with pytest.raises(RuntimeError, match="async with"):
        [received async for received in client]
    async with client:
        pass
    with pytest.raises(RuntimeError, match="async with"):
        [received async for received in client]


async def test_a_client_with_attempts_used_up_is_woken_in_a_thread() -> None:
    settings = Settings(initial_delay_ms=5, max_attempts=0)

    def follow(url: str) -> str:
        with SyncSseClient(url, settings=settings) as client:
            with pytest.raises(StreamStoppedError):
                next(client)
            client.wake()
            data = next(client).id
            threading.Timer(0.01, client.reconnect).start()
            return f"{data} {next(client).id}"

    answers = (refused(503), stream(event("e-1")), stream(event("e-2")))
    async with scripted(*answers) as server:
        assert await in_a_thread(lambda: follow(server.url)) == "e-1 e-2"
