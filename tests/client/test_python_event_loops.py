"""The Python client under asyncio and under trio, on real sockets: the same in both."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest
from client.scripted_server import (
    Answer,
    Request,
    ScriptedServer,
    connected,
    ended,
    event,
    refused,
    scripted,
    shutdown,
    stream,
)
from kit.waiting import until

from tidegate_client import (
    AcknowledgingSseClient,
    Lost,
    Opened,
    Settings,
    SseClient,
    StreamStoppedError,
)

FAST = Settings(initial_delay_ms=10)
BOTH = pytest.mark.parametrize("backend", ["asyncio", "trio"])


async def run(backend: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run the client's side in an event loop of its own, bounded."""

    async def bounded() -> None:
        with anyio.fail_after(20):
            await work()

    await asyncio.to_thread(lambda: anyio.run(bounded, backend=backend))


async def take(client: SseClient, last: str) -> list[str]:
    ids = []
    async for received in client:
        ids.append(received.id)
        if received.id == last:
            break
    return ids


async def fail_in_the_block(client: SseClient) -> None:
    async with client:
        async for _ in client:
            raise ValueError("mine")


@BOTH
async def test_resumes_and_hands_over(backend: str) -> None:
    changes: list[Opened | Lost] = []
    answers = (
        ended(event("e-1")),
        stream(connected("a", "e-1"), event("e-2"), shutdown("e-2")),
        stream(connected("b", "e-2"), event("e-3")),
    )
    async with scripted(*answers) as server:

        async def follow() -> None:
            async with SseClient(server.url, settings=FAST, on_change=changes.append) as client:
                assert await take(client, "e-3") == ["e-1", "e-2", "e-3"]
            assert client.ready_state == "closed"

        await run(backend, follow)
        await until(lambda: server.open_count == 0)
    sent = [request.headers.get(b"last-event-id") for request in server.requests]
    assert sent == [None, b"e-1", b"e-2"]
    assert [type(change) for change in changes] == [Opened, Lost, Opened]


@BOTH
async def test_gives_up_with_its_reason_and_its_cause(backend: str) -> None:
    settings = Settings(initial_delay_ms=5, max_attempts=1)
    async with scripted(refused(503)) as server:
        url = server.url

        async def follow() -> None:
            async with SseClient(url, settings=settings) as client:
                with pytest.raises(StreamStoppedError, match=r"exhausted \(HTTP 503\)"):
                    await anext(client)

        await run(backend, follow)

    async def follow_nothing() -> None:
        async with SseClient(url, settings=settings) as client:
            with pytest.raises(StreamStoppedError, match=r"exhausted \(the last: error\)") as it:
                await anext(client)
            assert type(it.value.__cause__).__name__ == "ConnectError"

    await run(backend, follow_nothing)


@BOTH
async def test_an_error_of_the_block_arrives_as_it_is(backend: str) -> None:
    async with scripted(stream(event("e-1"))) as server:

        async def follow() -> None:
            client = SseClient(server.url)
            with pytest.raises(ValueError, match="mine"):
                await fail_in_the_block(client)
            assert client.ready_state == "closed"

        await run(backend, follow)
        await until(lambda: server.open_count == 0)


@BOTH
async def test_cancelling_the_block_ends_everything(backend: str) -> None:
    async with scripted(stream(event("e-1"))) as server:

        async def follow() -> None:
            client = SseClient(server.url)
            with anyio.CancelScope() as scope:
                async with client:
                    async for _ in client:
                        scope.cancel()
            assert scope.cancelled_caught
            assert client.ready_state == "closed"

        await run(backend, follow)
        await until(lambda: server.open_count == 0)


@BOTH
async def test_closing_from_another_task_ends_the_waiting_loop(backend: str) -> None:
    async with scripted(stream()) as server:

        async def follow() -> None:
            async with SseClient(server.url) as client, anyio.create_task_group() as tasks:
                tasks.start_soon(client.aclose)
                assert [received async for received in client] == []
                await client.aclose()

        await run(backend, follow)


@BOTH
async def test_hooks_may_be_async_and_are_awaited_in_turn(
    backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    async def on_change(change: Opened | Lost) -> None:
        heard.append(f"begins {type(change).__name__}")
        await anyio.sleep(0.02)
        heard.append(f"ends {type(change).__name__}")
        raise ValueError("mine")

    comments: list[str] = []
    answers = (ended(": hello\n\n", ":\n", event("e-1")), stream(event("e-2")))
    async with scripted(*answers) as server:

        async def follow() -> None:
            hooks = {"on_change": on_change, "on_comment": comments.append}
            async with SseClient(server.url, settings=FAST, **hooks) as client:  # type: ignore[arg-type]
                await take(client, "e-2")
                while len(heard) < 6:  # noqa: ASYNC110 - they come from a hook that raises
                    await anyio.sleep(0.01)

        await run(backend, follow)
    names = [name for name in ("Opened", "Lost", "Opened") for _ in range(2)]
    assert [line.split()[1] for line in heard] == names
    assert [line.split()[0] for line in heard] == ["begins", "ends"] * 3
    assert caplog.text.count("ValueError: mine") == 3
    assert comments == ["hello", ""]


@BOTH
async def test_acknowledges_what_was_handled_and_flushes_when_it_is_cancelled(backend: str) -> None:
    acks: list[str] = []

    async def acknowledged(request: Request, writer: asyncio.StreamWriter) -> None:
        acks.append(json.loads(request.body)["id"])
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    def choose(server: ScriptedServer) -> Answer:
        if server.requests[-1].line.startswith(b"POST"):
            return acknowledged
        return stream(event("e-1"), event("e-2"), event("e-3"))

    async with scripted(choose=choose) as server:

        async def follow() -> None:
            url = f"{server.url}?stream=s"
            with anyio.CancelScope() as scope:
                async with AcknowledgingSseClient(url, acknowledge_every_ms=60_000) as client:
                    async for received in client:
                        if received.id == "e-3":
                            scope.cancel()
                            await anyio.lowlevel.checkpoint()
            assert client.acknowledged == "e-2"

        await run(backend, follow)
    assert acks == ["e-2"]


async def test_trio_needs_the_block_and_says_so() -> None:
    async def connect() -> None:
        client = SseClient("http://127.0.0.1:1/")
        with pytest.raises(RuntimeError, match="async with"):
            client.connect()
        assert client.ready_state == "closed"

    await run("trio", connect)


async def test_under_asyncio_a_block_may_be_entered_and_left_in_different_tasks() -> None:
    async with scripted(stream(event("e-1"))) as server:
        client = SseClient(server.url)
        await asyncio.create_task(client.__aenter__())
        assert await take(client, "e-1") == ["e-1"]
        await asyncio.create_task(client.__aexit__(None, None, None))
        assert client.ready_state == "closed"


async def test_a_callback_of_the_loop_may_reconnect_and_wake() -> None:
    async with (
        scripted(stream(event("e-1")), stream(event("e-2"))) as server,
        SseClient(server.url) as client,
    ):
        assert await take(client, "e-1") == ["e-1"]
        running = asyncio.get_running_loop()
        running.call_soon(client.wake)
        running.call_soon(client.reconnect)
        async with asyncio.timeout(10):
            assert await take(client, "e-2") == ["e-2"]
