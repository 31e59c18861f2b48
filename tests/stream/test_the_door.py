import json
from typing import Any

import pytest

from tidegate.contract.publish import To
from tidegate.contract.sidecar import Limits, StreamSettings
from tidegate.stream.door import (
    STREAM_HEADERS,
    Accept,
    Bounce,
    Decision,
    Defer,
    Door,
    PodView,
    Refuse,
)
from tidegate.stream.log import EventLog, LogEntry
from tidegate.stream.requests import StreamRequest
from tidegate.wire.decode import Decoder, Event, Item

POD = PodView(None, 1000, streams=3000, arrivals=31, streams_of=lambda client: 0)
GET = StreamRequest("GET", "1.1", b"/events", b"")


@pytest.fixture
def log() -> EventLog:
    log = EventLog("e")
    for seq in range(1, 4):
        log.append(LogEntry(seq, To(everyone=True), "x"))
    return log


@pytest.fixture
def door(log: EventLog) -> Door:
    return Door(
        StreamSettings(),
        Limits(
            max_streams=5000,
            max_streams_per_client=2,
            max_topics_per_stream=3,
            max_header_bytes=1000,
        ),
        log,
        pod_name="web-1",
    )


def ask(door: Door, path: str, pod: PodView = POD, way: Any = "asgi", **more: Any) -> Decision:
    raw_path, _, query = path.encode().partition(b"?")
    return door.decide(GET._replace(path=raw_path, query=query, **more), pod, way)


def accepted(decision: Decision) -> tuple[Accept, list[Item]]:
    assert isinstance(decision, Accept)
    return decision, Decoder().feed(decision.first)


@pytest.mark.parametrize(
    ("path", "client", "topics", "handover"),
    [
        ("/events", None, (), False),
        ("/events?topic=b&topic=a&topic=b", None, ("a", "b"), False),
        ("/events?topic=a%2Fb&handover=1", None, ("a/b",), True),
        ("/events?handover=yes&_=123", None, (), False),
        ("/sse/subscribe/42", "42", (), False),
        ("/sse/subscribe/a%40b.c?topic=news", "a@b.c", ("news",), False),
    ],
)
def test_what_is_wanted(
    door: Door, path: str, client: str | None, topics: tuple[str, ...], handover: bool
) -> None:
    decision, _ = accepted(ask(door, path))
    wanted = decision.wanted
    assert (wanted.client, wanted.topics, wanted.handover) == (client, topics, handover)


def test_first_bytes_are_retry_and_connected_at_the_head(door: Door) -> None:
    decision, [_, connected] = accepted(ask(door, "/events"))
    assert decision.first.startswith(b"retry: ")
    assert isinstance(connected, Event)
    assert (connected.type, connected.id, decision.position) == ("connected", "e-3", 3)
    assert json.loads(connected.data) == {
        "pod": "web-1",
        "stream": "1f",
        "heartbeat_ms": 15_000,
        "spread_ms": 3000,
        "replay": False,
        "handover": True,
    }


@pytest.mark.parametrize(
    ("path", "header"),
    [
        ("/events", b"e-1"),
        ("/events?last_event_id=e-1", b""),
        ("/events?last_event_id=e-2", b"e-1"),
    ],
    ids=["header", "query", "the header wins"],
)
def test_the_cursor_is_accepted(door: Door, path: str, header: bytes) -> None:
    decision, [_, connected] = accepted(ask(door, path, last_event_id=header))
    assert isinstance(connected, Event)
    assert (connected.id, decision.position) == ("e-1", 1)
    assert json.loads(connected.data)["replay"] is True


@pytest.mark.parametrize("header", [b"\xff\xfe", b"nonsense", b"x" * 500, b"other-7"])
def test_a_foreign_id_is_a_gap_never_an_error(door: Door, header: bytes) -> None:
    decision, [_, connected, gap] = accepted(ask(door, "/events", last_event_id=header))
    assert isinstance(connected, Event)
    assert isinstance(gap, Event)
    assert (connected.id, gap.type, gap.id, decision.position) == ("e-0", "gap", "e-0", 0)


@pytest.mark.parametrize(
    ("path", "more", "status", "code", "field"),
    [
        ("/sse/subscribe/", {}, 400, "bad_client", "client_id"),
        ("/sse/subscribe/a/b", {}, 400, "bad_client", "client_id"),
        ("/sse/subscribe/a%20b", {}, 400, "bad_client", "client_id"),
        ("/sse/subscribe/" + "x" * 129, {}, 400, "bad_client", "client_id"),
        ("/events?topic=", {}, 400, "bad_topic", "topic"),
        ("/events?topic=a%0Ab", {}, 400, "bad_topic", "topic"),
        ("/events?topic=%ff", {}, 400, "bad_topic", "topic"),
        ("/events?topic=a&topic=b&topic=c&topic=d", {}, 400, "too_many_topics", "topic"),
        ("/events?" + "&".join("x" * 1025), {}, 400, "bad_query", "query"),
        ("/events", {"header_bytes": 1001}, 431, "headers_too_large", "headers"),
        ("/events", {"method": "POST"}, 405, "bad_method", "method"),
        ("/other", {}, 404, "not_found", "path"),
    ],
)
def test_the_callers_mistakes(
    door: Door, path: str, more: dict[str, Any], status: int, code: str, field: str
) -> None:
    decision = ask(door, path, **more)
    assert isinstance(decision, Refuse)
    assert decision.status == status
    body = json.loads(decision.body)
    assert (body["error"], body["field"]) == (code, field)
    assert set(body) == {"error", "detail", "field"}
    assert (b"connection", b"close") in decision.headers
    assert ((b"allow", b"GET, HEAD") in decision.headers) == (status == 405)


def test_a_client_has_a_limit_of_its_own(door: Door) -> None:
    pod = POD._replace(streams_of=lambda client: 2 if client == "42" else 0)
    decision = ask(door, "/sse/subscribe/42", pod)
    assert isinstance(decision, Refuse)
    assert (decision.status, decision.error.code) == (429, "too_many_streams")
    assert isinstance(ask(door, "/sse/subscribe/43", pod), Accept)


@pytest.mark.parametrize("reason", ["drain", "starting", "stopping", "overloaded"])
def test_the_pods_state_is_a_bounce(door: Door, reason: Any) -> None:
    decision = ask(door, "/events", POD._replace(refusing=reason, bounce_retry_ms=700))
    assert isinstance(decision, Bounce)
    assert decision.reason == reason
    items = Decoder().feed(decision.body)
    assert [type(item).__name__ for item in items] == ["Retry", "Event"]
    assert isinstance(items[1], Event)
    assert (items[1].type, items[1].id) == ("shutdown", "")
    assert b"id:" not in decision.body


def test_a_full_pod_bounces(door: Door) -> None:
    decision = ask(door, "/events", POD._replace(streams=5000))
    assert isinstance(decision, Bounce)
    assert decision.reason == "overloaded"


def test_a_wrong_request_is_wrong_in_any_state(door: Door) -> None:
    assert isinstance(ask(door, "/events?topic=", POD._replace(refusing="drain")), Refuse)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"method": "HEAD"}, "method"),
        ({"method": "POST"}, "method"),
        ({"http_version": "2"}, "http_version"),
        ({"has_body": True}, "body"),
        ({"upgrades": True}, "upgrade"),
        ({"expects": True}, "expect"),
        ({"pipelined": True}, "pipelined"),
        ({"response_unfinished": True}, "response_unfinished"),
        ({"write_buffer_used": True}, "write_buffer_used"),
    ],
)
def test_a_connection_is_only_taken_over_when_it_is_all_ours(
    door: Door, more: dict[str, Any], reason: str
) -> None:
    assert ask(door, "/events", way="takeover", **more) == Defer(reason)  # type: ignore[arg-type]
    assert not isinstance(ask(door, "/events", way="asgi", **more), Defer)


def test_other_paths_are_left_alone(door: Door) -> None:
    assert ask(door, "/eventsx", way="takeover") == Defer("not_a_stream")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_plain_get_is_taken_over(door: Door, version: str) -> None:
    assert isinstance(ask(door, "/events", way="takeover", http_version=version), Accept)


def test_head_gets_headers_only(door: Door) -> None:
    decision = ask(door, "/events", method="HEAD")
    assert isinstance(decision, Accept)
    assert decision.headers_only
    bounced = ask(door, "/events", POD._replace(refusing="drain"), method="HEAD")
    assert isinstance(bounced, Bounce)
    assert bounced.headers_only


def test_the_headers_of_a_stream() -> None:
    assert dict(STREAM_HEADERS) == {
        b"content-type": b"text/event-stream; charset=utf-8",
        b"cache-control": b"no-cache, no-transform",
        b"x-accel-buffering": b"no",
        b"connection": b"close",
    }
