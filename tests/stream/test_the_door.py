import json
from typing import Any

import pytest

from tidegate.contract.publish import To
from tidegate.contract.stream_settings import Limits, StreamSettings
from tidegate.stream.decisions import (
    STREAM_HEADERS,
    Accept,
    Bounce,
    Decision,
    Defer,
    Recall,
    Refuse,
)
from tidegate.stream.door import Door, Liveness, PodView
from tidegate.stream.log import EventLog, LogEntry
from tidegate.stream.requests import Recalled, StreamRequest
from tidegate.wire.decode import Decoder, Event, Item, Retry

POD = PodView(
    0.0,
    None,
    1000,
    streams=3000,
    arrivals=31,
    streams_of=lambda client: 0,
    liveness_of=lambda client: Liveness(0, 0),
)
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
    pod = POD._replace(
        streams_of=lambda client: 2 if client == "42" else 0, liveness_of=lambda _: Liveness(2, 0)
    )
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


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (Liveness(live=2, unsure=0), Refuse),
        (Liveness(live=2, unsure=1), Refuse),
        (Liveness(live=1, unsure=1), Bounce),
        (Liveness(live=0, unsure=2), Bounce),
        (Liveness(live=1, unsure=0), Accept),
        (Liveness(live=0, unsure=0), Accept),
    ],
)
def test_only_streams_that_are_still_read_count_against_the_limit(
    door: Door, found: Liveness, kind: type
) -> None:
    pod = POD._replace(streams_of=lambda _: 2, liveness_of=lambda _: found)
    decision = ask(door, "/sse/subscribe/42", pod)
    assert isinstance(decision, kind)
    if isinstance(decision, Bounce):
        assert decision.reason == "overloaded"


def test_a_door_with_a_rate_lets_it_in_and_names_the_others_their_slots(log: EventLog) -> None:
    door = Door(StreamSettings(), Limits(max_new_streams_per_s=10), log, pod_name="web-1")
    assert isinstance(ask(door, "/events"), Accept)
    bounces = [ask(door, "/events") for _ in range(20)]
    assert {reason_of(bounce) for bounce in bounces} == {"overloaded"}
    slots_ms = [retry_of(bounce) for bounce in bounces]
    assert slots_ms == list(range(100, 2100, 100))
    for slot_ms in slots_ms:
        at_its_slot = POD._replace(now=slot_ms / 1000)
        assert isinstance(ask(door, "/events", at_its_slot), Accept)
        assert isinstance(ask(door, "/events", at_its_slot), Bounce)


def test_without_a_limit_a_door_lets_any_number_in(door: Door) -> None:
    assert all(isinstance(ask(door, "/events"), Accept) for _ in range(3000))


def test_refusals_and_requests_for_headers_only_take_no_place(log: EventLog) -> None:
    limits = Limits(max_new_streams_per_s=10)
    door = Door(StreamSettings(), limits, log, pod_name="web-1")
    for _ in range(20):
        assert isinstance(ask(door, "/events", method="HEAD"), Accept)
        assert isinstance(ask(door, "/events?topic="), Refuse)
        assert isinstance(ask(door, "/events", POD._replace(refusing="drain")), Bounce)
    assert isinstance(ask(door, "/events"), Accept)
    bounced = ask(door, "/events", method="HEAD")
    assert isinstance(bounced, Bounce)
    assert bounced.headers_only
    assert isinstance(ask(door, "/events?topic="), Refuse), "a caller's mistake is one in any state"


def test_a_recalled_stream_takes_one_place(log: EventLog) -> None:
    door = Door(StreamSettings(), Limits(max_new_streams_per_s=1), log, pod_name="web-1")
    recall = ask(door, "/sse/subscribe/42?stream=orders")
    assert isinstance(recall, Recall)
    answered = recall.answered(Recalled(None, reached=True))
    assert isinstance(door.decide(answered, POD, "asgi"), Accept)
    assert isinstance(ask(door, "/sse/subscribe/42?stream=orders"), Bounce), "nothing looked up"


@pytest.mark.parametrize("state", ["full", "drain", "stopping", "starting"])
def test_the_clients_of_a_pod_that_takes_none_are_sent_away_one_by_one(
    log: EventLog, state: Any
) -> None:
    limits = Limits(max_streams=1)
    door = Door(StreamSettings(accept_rate_per_s=50), limits, log, pod_name="web-1")
    pod = POD if state == "full" else POD._replace(refusing=state, streams=0)
    slots_ms = [retry_of(ask(door, "/events", pod)) for _ in range(100)]
    assert slots_ms == list(range(1000, 3000, 20))
    # A second later the first of them are back; a client that comes then queues behind the rest.
    assert retry_of(ask(door, "/events", pod._replace(now=1.0))) == 2000


def test_where_no_retry_is_sent_a_bounce_names_none(log: EventLog) -> None:
    door = Door(StreamSettings(), Limits(max_new_streams_per_s=1), log, pod_name="web-1")
    silent = POD._replace(bounce_retry_ms=0)
    ask(door, "/events", silent)
    bounced = ask(door, "/events", silent)
    assert isinstance(bounced, Bounce)
    assert b"retry:" not in bounced.body


def retry_of(decision: Decision) -> int:
    assert isinstance(decision, Bounce)
    retry, shutdown = Decoder().feed(decision.body)
    assert isinstance(retry, Retry)
    assert isinstance(shutdown, Event)
    assert json.loads(shutdown.data)["reconnect_after_ms"] == retry.ms
    return retry.ms


def reason_of(decision: Decision) -> str:
    assert isinstance(decision, Bounce)
    return decision.reason


@pytest.mark.parametrize(
    ("path", "without_client", "streams", "is_let_in"),
    [
        ("/events", 4499, 4499, True),
        ("/events", 4500, 4500, False),
        ("/sse/subscribe/42", 4500, 4999, True),
        ("/sse/subscribe/42", 4500, 5000, False),
    ],
)
def test_streams_without_a_client_id_leave_a_tenth_to_those_with_one(
    door: Door, path: str, without_client: int, streams: int, is_let_in: bool
) -> None:
    pod = POD._replace(streams=streams, without_client=without_client)
    assert isinstance(ask(door, path, pod), Accept if is_let_in else Bounce)
