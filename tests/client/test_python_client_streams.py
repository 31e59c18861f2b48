"""The Python client on real sockets: resumes, renews, hands over, iterates, closes for good."""

import asyncio
from typing import Any

import httpx2
import pytest
from client.scripted_server import (
    Request,
    connected,
    ended,
    event,
    refused,
    scripted,
    shutdown,
    stream,
)
from kit.waiting import until

from tidegate_client import Lost, Opened, Settings, SseClient, StreamStoppedError

FAST = Settings(initial_delay_ms=10)


async def take(client: SseClient, count: int) -> list[str]:
    ids: list[str] = []
    async with asyncio.timeout(30):
        while len(ids) < count:
            ids.append((await anext(client)).id)
    return ids


async def test_resumes_after_the_last_id_sent_as_utf8() -> None:
    async with scripted(ended(event("é-1")), stream(event("e-2"))) as server:
        async with SseClient(server.url, settings=FAST, last_event_id="e-0") as client:
            assert await take(client, 2) == ["é-1", "e-2"]
            while_open = client.ready_state
        assert (while_open, client.ready_state) == ("open", "closed")
    assert server.requests[0].line == b"GET /events HTTP/1.1"
    assert server.requests[0].headers[b"accept"] == b"text/event-stream"
    assert server.requests[0].headers[b"cache-control"] == b"no-cache"
    sent = [request.headers[b"last-event-id"].decode() for request in server.requests]
    assert sent == ["e-0", "é-1"]


async def test_yields_events_and_gaps_and_controls_only_when_asked() -> None:
    gap = event("e-2", '{"from":"e-1","to":"e-2","reason":"expired"}', "gap")
    answer = stream(connected("a", "e-1"), gap, event("e-2", "{}", "cursor"), event("e-3"))
    async with scripted(answer) as server:
        async with SseClient(server.url) as client:
            kinds = [(await anext(client)).type for _ in range(2)]
        assert kinds == ["gap", "message"]
        async with SseClient(server.url, controls=True) as client:
            kinds = [(await anext(client)).type for _ in range(4)]
        assert kinds == ["connected", "gap", "cursor", "message"]


async def test_hands_over_without_a_moment_without_a_stream() -> None:
    changes: list[Opened | Lost] = []
    answers = (
        stream(connected("a", "e-1"), event("e-2"), shutdown("e-2")),
        stream(connected("b", "e-2"), event("e-3")),
    )
    async with (
        scripted(*answers) as server,
        SseClient(server.url, settings=FAST, on_change=changes.append) as client,
    ):
        assert await take(client, 2) == ["e-2", "e-3"]
        await until(lambda: server.open_count == 1)
        assert changes == [Opened()]
    assert server.requests[1].headers[b"last-event-id"] == b"e-2"


async def test_the_server_is_told_of_handover_once_it_has_asked_for_it() -> None:
    asks = connected("a", "e-1").replace('"spread_ms": 0', '"spread_ms": 0, "handover": true')
    answers = (ended(asks), ended(event("e-2")), stream(event("e-3")))
    async with scripted(*answers) as server:
        async with SseClient(f"{server.url}?sig=a%2Fb", settings=FAST) as client:
            assert await take(client, 2) == ["e-2", "e-3"]
        async with SseClient(server.url, settings=Settings(handover=True)) as client:
            assert await take(client, 1) == ["e-3"]
    # The server that answers second has asked for nothing.
    assert [request.line for request in server.requests] == [
        b"GET /events?sig=a%2Fb HTTP/1.1",
        b"GET /events?sig=a%2Fb&handover=1 HTTP/1.1",
        b"GET /events?sig=a%2Fb HTTP/1.1",
        b"GET /events?handover=1 HTTP/1.1",
    ]


async def test_breaks_before_it_makes_where_a_second_connection_is_not_answered() -> None:
    gate = asyncio.Event()

    async def later(request: Request, writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        await stream(connected("b", "e-1"), event("e-2"))(request, writer)

    changes: list[Opened | Lost] = []
    settings = Settings(handover_patience_ms=50)
    async with (
        scripted(stream(connected("a", "e-1"), shutdown("e-1")), later) as server,
        SseClient(server.url, settings=settings, on_change=changes.append) as client,
    ):
        await until(lambda: len(changes) == 2)
        gate.set()
        assert await take(client, 1) == ["e-2"]
    assert changes == [Opened(), Lost("planned", True, 0.0, 0, 0), Opened()]
    assert len(server.requests) == 2


async def test_a_provider_makes_headers_anew_once_more_after_a_401() -> None:
    asked: list[int] = []

    async def headers(refused_with: int) -> dict[str, str]:
        asked.append(refused_with)
        return {"Authorization": f"Bearer {len(asked)}"}

    answers = (refused(401), ended(event("e-1")), refused(403), refused(403))
    async with (
        scripted(*answers) as server,
        SseClient(server.url, settings=FAST, headers=headers) as client,
    ):
        assert await take(client, 1) == ["e-1"]
        with pytest.raises(StreamStoppedError, match=r"unauthorized \(HTTP 403\)"):
            await anext(client)
    assert asked == [0, 401, 0, 403]
    assert server.requests[1].headers[b"authorization"] == b"Bearer 2"


async def test_204_ends_the_iteration_and_404_raises() -> None:
    async with (
        scripted(refused(204), refused(404)) as server,
        httpx2.AsyncClient() as http,
    ):
        async with SseClient(server.url, http=http, headers={"X-Own": "1"}) as client:
            assert [event async for event in client] == []
        assert server.requests[0].headers[b"x-own"] == b"1"
        async with SseClient(server.url, http=http) as client:
            with pytest.raises(StreamStoppedError) as stopped:
                await anext(client)
        assert (stopped.value.reason, stopped.value.status) == ("refused", 404)
        assert not http.is_closed


async def test_gives_up_after_its_attempts_and_reconnect_starts_anew() -> None:
    changes: list[Any] = []
    settings = Settings(initial_delay_ms=10, max_attempts=1)
    answers = (refused(503), refused(503), stream(event("e-1")))
    async with (
        scripted(*answers) as server,
        SseClient(server.url, settings=settings, on_change=changes.append) as client,
    ):
        with pytest.raises(StreamStoppedError):
            await anext(client)
        assert [(c.reason, c.will_retry) for c in changes] == [
            ("status", True),
            ("exhausted", False),
        ]
        client.reconnect()
        assert await take(client, 1) == ["e-1"]


async def test_a_server_that_is_not_there_is_an_error_with_its_cause() -> None:
    changes: list[Any] = []
    async with scripted(stream()) as server:
        url = server.url
    async with SseClient(url, settings=FAST, on_change=changes.append):
        await until(lambda: len(changes) > 0)
    assert changes[0].reason == "error"
    assert isinstance(changes[0].error, httpx2.ConnectError)


async def test_a_woken_client_comes_back_soon() -> None:
    settings = Settings(initial_delay_ms=10, max_delay_ms=60_000, factor=1000)
    answers = (refused(503), refused(503), stream(event("e-1")))
    changes: list[Any] = []
    async with (
        scripted(*answers) as server,
        SseClient(server.url, settings=settings, on_change=changes.append) as client,
    ):
        await until(lambda: len(changes) == 2)
        assert changes[1].delay_s >= 10
        client.wake()
        assert await take(client, 1) == ["e-1"]


async def test_silence_of_three_heartbeats_ends_a_dead_stream() -> None:
    changes: list[Any] = []
    answers = (stream(connected("a", "e-1", heartbeat_ms=20)), stream(event("e-2")))
    async with (
        scripted(*answers) as server,
        SseClient(server.url, settings=FAST, on_change=changes.append) as client,
    ):
        assert await take(client, 1) == ["e-2"]
    assert changes[1].reason == "idle"


async def test_an_oversized_event_stops_for_good() -> None:
    async with (
        scripted(stream(event("e-1", "x" * 100))) as server,
        SseClient(server.url, max_line_bytes=50) as client,
    ):
        with pytest.raises(StreamStoppedError, match="oversized"):
            await anext(client)


async def test_a_slow_consumer_makes_the_reading_stop_and_loses_nothing() -> None:
    total = 3000

    async def many(request: Request, writer: asyncio.StreamWriter) -> None:
        await stream()(request, writer)
        for number in range(total):
            writer.write(event(f"e-{number}", "x" * 2000).encode())
            await writer.drain()

    settings = Settings(idle_timeout_ms=200)
    async with (
        scripted(many) as server,
        SseClient(server.url, settings=settings) as client,
    ):
        ids = await take(client, 1)
        await asyncio.sleep(0.4)  # twice the time-out: our own slowness is not silence
        ids += await take(client, total - 1)
        assert ids == [f"e-{number}" for number in range(total)]
        assert len(server.requests) == 1


async def test_a_listener_that_raises_does_not_end_the_stream(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def listener(change: Opened | Lost) -> None:
        raise ValueError("mine")

    async with (
        scripted(stream(event("e-1"))) as server,
        SseClient(server.url, on_change=listener) as client,
    ):
        assert await take(client, 1) == ["e-1"]
    assert "a hook raised" in caplog.text
    assert "ValueError: mine" in caplog.text


async def test_hooks_may_be_async_and_are_awaited_in_turn() -> None:
    seen: list[str] = []

    async def on_change(change: Opened | Lost) -> None:
        await asyncio.sleep(0)
        seen.append(type(change).__name__)

    async def on_comment(text: str) -> None:
        seen.append(text)

    async with (
        scripted(stream(":one\n\n", ":two\n\n", event("e-1"))) as server,
        SseClient(server.url, on_change=on_change, on_comment=on_comment) as client,
    ):
        assert await take(client, 1) == ["e-1"]
        await until(lambda: len(seen) == 3)
    assert seen == ["Opened", "one", "two"]


async def test_reconnecting_inside_a_listener_makes_one_connection() -> None:
    goodbye = shutdown("e-1", deadline_ms=0)
    async with scripted(stream(connected("a", "e-1"), goodbye), stream(event("e-2"))) as server:
        client = SseClient(
            server.url, on_change=lambda c: client.reconnect() if isinstance(c, Lost) else None
        )
        async with client:
            assert await take(client, 1) == ["e-2"]
            await until(lambda: server.open_count == 1)
    assert len(server.requests) == 2


async def test_closing_ends_a_waiting_iteration() -> None:
    async with scripted(stream(event("e-1"))) as server:
        client = SseClient(server.url)
        client.connect()
        assert await take(client, 1) == ["e-1"]
        waiting = asyncio.ensure_future(anext(client, None))
        await asyncio.sleep(0)
        await client.aclose()
        assert await waiting is None
        await client.aclose()
