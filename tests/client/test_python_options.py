"""What the Python client can be given: what cannot work is refused at once, with its name."""

from __future__ import annotations

import asyncio
import gzip
import pickle
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import httpx2
import pytest
from client.scripted_server import Request, ended, event, refused, scripted, stream
from kit.waiting import until

from tidegate.contract.errors import CallerError, DocumentError, SettingsError
from tidegate_client import (
    AcknowledgingSseClient,
    Lost,
    Settings,
    SseClient,
    SseClientOptions,
    StreamStoppedError,
    SyncAcknowledgingSseClient,
    SyncSseClient,
)

FAST = Settings(initial_delay_ms=10)
URL = "http://pod/events"


def answering(*blocks: str, seen: list[httpx2.Request] | None = None) -> Callable[[Any], Any]:
    async def body() -> AsyncIterator[bytes]:
        yield "".join(blocks).encode()
        await asyncio.Event().wait()

    def handle(request: httpx2.Request) -> httpx2.Response:
        if seen is not None:
            seen.append(request)
        head = {"content-type": "text/event-stream"}
        return httpx2.Response(200, headers=head, content=body())

    return handle


async def first_request(url: Any, http: dict[str, Any], **options: Any) -> httpx2.Request:
    """The request that reaches the transport, made with a client's own settings."""
    seen: list[httpx2.Request] = []
    transport = httpx2.MockTransport(answering(event("e-1"), seen=seen))
    async with httpx2.AsyncClient(transport=transport, **http) as given:
        async with SseClient(url, http=given, **options) as client:
            assert (await anext(client)).id == "e-1"
        assert not given.is_closed
    return seen[0]


@pytest.mark.parametrize(
    "url",
    [
        *("", "/events", "pod:80/events", "ftp://pod/", "ws://pod/", "javascript:alert(1)"),
        *("http://", "http:///events", "http://[::1", "http://pod:99999/", "http://pod:x/"),
        *("http://a b/", "http://%zz/", "http://pod\n/", "//pod/events", "file:///etc/passwd"),
        *(None, 1, b"http://pod/", ["http://pod/"]),
    ],
)
@pytest.mark.parametrize("kind", [SseClient, SyncSseClient])
def test_a_url_that_cannot_work_is_refused_at_once(kind: Any, url: Any) -> None:
    with pytest.raises(SettingsError, match="url"):
        kind(url)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("headers", {"X-A": "a\r\nX-Evil: 1"}),
        ("headers", {"X-A": "a\x00"}),
        ("headers", {"X A": "a"}),
        ("headers", {"": "a"}),
        ("headers", {"X-A": 1}),
        ("headers", {1: "a"}),
        ("headers", ["X-A"]),
        ("headers", "X-A: a"),
        ("settings", {"max_attempts": 1}),
        ("last_event_id", 7),
        ("last_event_id", b"e-1"),
        ("controls", "yes"),
        ("on_change", "print"),
        ("on_comment", 1),
        ("http", "http://proxy"),
        ("http", httpx2.Client()),
        ("method", "GE T"),
        ("method", 1),
        ("body", {"a": 1}),
        ("max_line_bytes", 0),
        ("max_line_bytes", 1.5),
        ("max_event_bytes", True),
    ],
)
def test_an_option_that_cannot_work_is_refused_by_name(name: str, value: Any) -> None:
    for kind in (SseClient, SyncSseClient):
        with pytest.raises(SettingsError, match=name) as refusal:
            kind(URL, **{name: value})
        assert "Evil" not in str(refusal.value), "a header's value may be a secret"


def test_a_body_is_posted_and_a_get_carries_none() -> None:
    assert SseClient(URL, body="{}")._requester.method == "POST"
    with pytest.raises(SettingsError, match="body"):
        SseClient(URL, method="get", body="{}")


def test_an_unknown_option_is_a_type_error_that_names_it() -> None:
    for kind in (SseClient, SyncSseClient, AcknowledgingSseClient, SyncAcknowledgingSseClient):
        with pytest.raises(TypeError, match="retries"):
            kind(f"{URL}?stream=s", retries=3)  # type: ignore[call-arg]


def test_none_is_the_same_as_absent() -> None:
    nothing: dict[str, Any] = dict.fromkeys(SseClientOptions.__annotations__)
    SseClient(URL, **nothing)
    url = f"{URL}?stream=s"
    AcknowledgingSseClient(url, automatic=None, acknowledge_every_ms=None, **nothing)
    SyncAcknowledgingSseClient(url, automatic=None, acknowledge_every_ms=None, **nothing)


async def stopped_by(client: SseClient) -> StreamStoppedError:
    async with client, asyncio.timeout(10):
        with pytest.raises(StreamStoppedError) as stopped:
            await anext(client)
    return stopped.value


@pytest.mark.parametrize("made", [{"X": "a\nb"}, {"X": 1}, ["X"], None])
async def test_headers_made_that_cannot_be_sent_stop_at_once(made: Any) -> None:
    asked: list[int] = []

    def headers(status: int) -> Any:
        asked.append(status)
        return made

    async with scripted(stream()) as server:
        client = SseClient(server.url, headers=headers)
        stopped = await stopped_by(client)
        assert not server.requests
    assert (stopped.reason, asked) == ("invalid_request", [0])
    assert isinstance(stopped.__cause__, SettingsError)


async def test_a_provider_that_fails_is_asked_again() -> None:
    asked: list[int] = []

    async def headers(status: int) -> dict[str, str]:
        asked.append(status)
        if len(asked) < 3:
            raise ValueError("the token server is away")
        return {}

    async with (
        scripted(stream(event("e-1"))) as server,
        SseClient(server.url, settings=FAST, headers=headers) as client,
    ):
        assert (await anext(client)).id == "e-1"
    assert len(asked) == 3


async def test_a_redirect_to_what_cannot_be_fetched_stops_at_once() -> None:
    async with scripted(refused(307, "Location: ftp://pod/")) as server:
        stopped = await stopped_by(SseClient(server.url, settings=FAST))
        assert len(server.requests) == 1
    assert stopped.reason == "invalid_request"
    assert isinstance(stopped.__cause__, httpx2.UnsupportedProtocol)


async def test_an_http_client_that_is_closed_or_cannot_send_stops_at_once() -> None:
    http = httpx2.AsyncClient()
    await http.aclose()
    stopped = await stopped_by(SseClient(URL, http=http))
    assert (stopped.reason, type(stopped.__cause__)) == ("invalid_request", RuntimeError)
    async with httpx2.AsyncClient(headers={"X-Bad": "a\x01\nb"}) as http, scripted() as server:
        stopped = await stopped_by(SseClient(server.url, http=http))
    assert stopped.reason == "invalid_request"


@pytest.mark.parametrize("made", [None, 5, httpx2.Client()])
async def test_a_function_that_makes_no_http_client_stops_at_once(made: Any) -> None:
    client = SseClient(URL, http=lambda: made)
    stopped = await stopped_by(client)
    assert stopped.reason == "invalid_request"
    assert isinstance(stopped.__cause__, SettingsError)
    assert "AsyncClient" in str(stopped.__cause__)


async def test_a_body_that_cannot_be_decompressed_stops_at_once() -> None:
    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n"
        writer.write(head + b"\r\nnot compressed at all\r\n\r\n")

    async with scripted(answer) as server:
        stopped = await stopped_by(SseClient(server.url, settings=FAST))
    assert stopped.reason == "unreadable"
    assert isinstance(stopped.__cause__, httpx2.DecodingError)


async def test_a_compressed_stream_is_read() -> None:
    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n"
        writer.write(head + b"\r\n" + gzip.compress(event("e-1").encode()))

    async with scripted(answer) as server, SseClient(server.url) as client:
        assert (await anext(client)).id == "e-1"


async def test_an_oversized_event_is_the_cause() -> None:
    async with scripted(stream(event("e-1", "x" * 100))) as server:
        stopped = await stopped_by(SseClient(server.url, max_event_bytes=50))
    assert stopped.reason == "oversized"
    assert isinstance(stopped.__cause__, DocumentError)


@pytest.mark.parametrize("query", ["a=%2F+b%20c&&d", "sig=a+b%2fc~%7E&x=[1]|'{}", "q=é%C3%A9"])
async def test_a_raw_query_is_appended_to_and_not_encoded_anew(query: str) -> None:
    sent = query.replace("é", "%C3%A9").encode()
    request = await first_request(f"{URL}?{query}#part", {})
    assert request.url.query == sent
    request = await first_request(f"{URL}?{query}", {}, settings=Settings(handover=True))
    assert request.url.query == sent + b"&handover=1"
    request = await first_request(f"{URL}?{query}", {"params": {"key": "a b"}})
    assert request.url.query == sent + b"&key=a+b"
    request = await first_request(f"/events?{query}", {"base_url": "http://pod:8080/v1/"})
    assert str(request.url.copy_with(query=None)) == "http://pod:8080/v1/events"
    assert request.url.query == sent


async def test_headers_are_merged_without_regard_to_case() -> None:
    own = {"ACCEPT": "text/event-stream, */*", "cache-control": "max-age=0", "X-A": " a "}
    request = await first_request(URL, {"headers": {"x-a": "b"}}, headers=own)
    for name, value in {"Accept": own["ACCEPT"], "Cache-Control": "max-age=0", "X-A": "a"}.items():
        assert request.headers.get_list(name) == [value]
    request = await first_request(URL, {"headers": {"x-a": "b"}}, headers={"X-A": None})
    assert request.headers["x-a"] == "b"
    resumed = {"Last-Event-ID": "theirs"}
    request = await first_request(URL, {}, headers=resumed, last_event_id="ours")
    assert request.headers.get_list("last-event-id") == ["ours"]


async def test_an_http_client_that_a_function_makes_is_closed() -> None:
    made: list[httpx2.AsyncClient] = []

    def make() -> httpx2.AsyncClient:
        made.append(httpx2.AsyncClient(transport=httpx2.MockTransport(answering(event("e-1")))))
        return made[-1]

    client = SseClient(URL, http=make)
    for _ in range(2):
        async with client:
            assert (await anext(client)).id == "e-1"
    assert [http.is_closed for http in made] == [True, True]

    def follow() -> str:
        with SyncSseClient(URL, http=make) as stream:
            return next(stream).id

    assert await asyncio.to_thread(follow) == "e-1"
    assert made[2].is_closed


async def test_the_httpx_that_came_before_is_accepted_too() -> None:
    async with (
        scripted(ended(event("e-1")), stream(event("e-2"))) as server,
        httpx.AsyncClient() as http,
        SseClient(f"{server.url}?a=1", http=http, settings=FAST) as client,
    ):
        assert [(await anext(client)).id for _ in range(2)] == ["e-1", "e-2"]
    async with httpx.AsyncClient() as http:
        await http.aclose()
        stopped = await stopped_by(SseClient(str(httpx.URL(URL)), http=http))
    assert stopped.reason == "invalid_request"


async def test_a_posted_stream_is_repeated_only_before_its_answer() -> None:
    changes: list[Any] = []
    options: dict[str, Any] = {"settings": FAST, "body": '{"q": 1}', "on_change": changes.append}
    async with scripted(refused(503), ended(event("e-1"))) as server:
        async with SseClient(server.url, **options) as client:
            assert [received.id async for received in client] == ["e-1"]
        assert [request.body for request in server.requests] == [b'{"q": 1}'] * 2
        assert server.requests[0].line.startswith(b"POST /events ")
    assert changes[-1] == Lost("ended", False, 0.0, 0, 200)


async def test_a_posted_stream_that_breaks_is_interrupted_and_with_a_key_repeated() -> None:
    async def broken(request: Request, writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 999\r\n\r\n"
        writer.write(head + event("e-1").encode())
        writer.close()

    async def outcome(headers: dict[str, str]) -> list[str]:
        seen: list[str] = []
        async with (
            scripted(broken, ended(event("e-2"))) as server,
            SseClient(server.url, settings=FAST, body="", headers=headers) as client,
        ):
            try:
                async for received in client:
                    seen.append(received.id)
            except StreamStoppedError as stopped:
                seen.append(stopped.reason)
        return seen

    assert await outcome({}) == ["e-1", "interrupted"]
    assert await outcome({"idempotency-KEY": "42"}) == ["e-1", "e-2"]


@pytest.mark.parametrize(
    "error",
    [
        StreamStoppedError("exhausted", 503, "status"),
        SettingsError("url", "is none"),
        DocumentError("event stream", "line", "is too long"),
        CallerError("bad_json", "not JSON", "data", 400),
    ],
)
def test_errors_survive_pickling(error: Exception) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


async def test_changes_survive_pickling() -> None:
    changes: list[Any] = []
    async with scripted(stream()) as server:
        url = server.url
    async with SseClient(url, settings=FAST, on_change=changes.append):
        await until(lambda: len(changes) > 0)
    again = pickle.loads(pickle.dumps(changes[0]))
    assert (again.reason, str(again.error)) == ("error", str(changes[0].error))
