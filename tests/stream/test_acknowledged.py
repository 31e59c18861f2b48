"""Which acknowledgement counts, and where a named stream goes on."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.contract.acknowledge import StreamKey
from tidegate.contract.errors import CallerError
from tidegate.contract.publish import To
from tidegate.contract.stream_settings import Limits, StreamSettings
from tidegate.stream.acknowledged import advances, check_issued, read_acknowledged
from tidegate.stream.decisions import Accept, Bounce, Decision, Recall, Refuse
from tidegate.stream.door import Door, Liveness, PodView
from tidegate.stream.log import EventLog, LogEntry
from tidegate.stream.requests import (
    Recalled,
    StreamRequest,
    is_acknowledge_path,
    is_stream_path,
)
from tidegate.wire.cursors import Cursor
from tidegate.wire.decode import Decoder, Event, Item

NAMED = "/sse/subscribe/42?stream=orders"
POD = PodView(
    0.0,
    None,
    1000,
    streams=1,
    arrivals=1,
    streams_of=lambda _: 0,
    liveness_of=lambda _: Liveness(0, 0),
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
    return Door(StreamSettings(), Limits(max_streams_per_client=2), log, pod_name="web-1")


def ask(door: Door, path: str, pod: PodView = POD, way: Any = "asgi", **more: Any) -> Decision:
    raw_path, _, query = path.encode().partition(b"?")
    return door.decide(GET._replace(path=raw_path, query=query, **more), pod, way)


def accepted(decision: Decision) -> tuple[Accept, list[Item]]:
    assert isinstance(decision, Accept)
    return decision, Decoder().feed(decision.first)


@pytest.mark.parametrize(
    ("kept", "given", "expect"),
    [
        (None, Cursor("e", 0), True),
        (None, Cursor("old", 9), True),
        (Cursor("e", 4), Cursor("e", 5), True),
        (Cursor("e", 5), Cursor("e", 5), False),
        (Cursor("e", 5), Cursor("e", 4), False),
        (Cursor("old", 9), Cursor("e", 1), True),
        (Cursor("e", 1), Cursor("old", 9), False),
        (Cursor("older", 9), Cursor("old", 1), True),
    ],
)
def test_which_acknowledgement_is_kept(kept: Cursor | None, given: Cursor, expect: bool) -> None:
    assert advances(kept, given, "e") is expect


@given(
    st.lists(
        st.builds(Cursor, st.sampled_from(["e", "old", "older"]), st.integers(0, 9)), min_size=1
    )
)
def test_in_any_order_the_furthest_of_the_present_epoch_is_kept(cursors: list[Cursor]) -> None:
    kept: Cursor | None = None
    for cursor in cursors:
        if advances(kept, cursor, "e"):
            kept = cursor
    present = [cursor.seq for cursor in cursors if cursor.epoch == "e"]
    assert kept is not None
    if present:
        assert kept == Cursor("e", max(present))


@pytest.mark.parametrize("wrong", ["", "x", "e-03", "e-1 "])
def test_an_acknowledged_id_must_be_a_cursor(wrong: str) -> None:
    assert read_acknowledged("e-3") == Cursor("e", 3)
    with pytest.raises(CallerError) as caught:
        read_acknowledged(wrong)
    assert caught.value.field == "id"


def test_an_id_that_no_event_had_yet_is_refused() -> None:
    newest = Cursor("e", 9)
    check_issued(Cursor("e", 9), newest)
    check_issued(Cursor("other", 900), newest)
    with pytest.raises(CallerError) as caught:
        check_issued(Cursor("e", 10), newest)
    assert caught.value.field == "id"


def test_a_cursor_ahead_of_this_pod_is_looked_up_in_the_store(door: Door, log: EventLog) -> None:
    ahead = f"e-{log.head + 1}".encode()
    request = GET._replace(last_event_id=ahead)
    recall = door.decide(request, POD, "takeover")
    assert isinstance(recall, Recall)
    assert recall.key is None
    known, made_up, away = (
        door.decide(recall.answered(recalled), POD, "takeover")
        for recalled in (
            Recalled(newest=log.head + 1),
            Recalled(newest=log.head),
            Recalled(reached=False),
        )
    )
    assert isinstance(known, Accept)
    assert (known.position, known.gap) == (log.head + 1, None)
    assert isinstance(made_up, Accept)
    assert made_up.gap is not None
    assert made_up.gap.reason == "foreign"
    assert isinstance(away, Bounce)


@pytest.mark.parametrize(
    ("path", "is_ack", "is_stream"),
    [
        (b"/sse/subscribe/42/ack", True, False),
        (b"/sse/subscribe//ack", True, False),
        (b"/sse/subscribe/ack", False, True),
        (b"/sse/subscribe/42", False, True),
        (b"/sse/subscribe/42/ack/", False, True),
        (b"/sse/subscribe/42%2Fack", False, True),
        (b"/events", False, True),
        (b"/events/ack", False, False),
    ],
)
def test_the_two_routes_are_apart(path: bytes, is_ack: bool, is_stream: bool) -> None:
    assert (is_acknowledge_path(path), is_stream_path(path)) == (is_ack, is_stream)


@pytest.mark.parametrize("way", ["takeover", "asgi"])
def test_a_named_stream_without_a_cursor_is_looked_up_first(door: Door, way: str) -> None:
    decision = ask(door, NAMED, way=way)
    assert isinstance(decision, Recall)
    assert decision.key == StreamKey("42", "orders")
    assert decision.answered(Recalled("e-1")).recalled == Recalled("e-1")


def test_it_goes_on_from_what_was_acknowledged(door: Door) -> None:
    decision, items = accepted(ask(door, NAMED, recalled=Recalled("e-1")))
    assert (decision.position, decision.gap) == (1, None)
    assert [i.id for i in items if isinstance(i, Event)] == ["e-1"]
    decision, _ = accepted(ask(door, NAMED, recalled=Recalled(None)))
    assert decision.position == 3, "nothing kept: the head"


@pytest.mark.parametrize("way", ["takeover", "asgi"])
@pytest.mark.parametrize("query", ["", "&last_event_id=e-2"])
def test_a_cursor_wins_over_what_was_acknowledged(door: Door, way: str, query: str) -> None:
    header = b"" if query else b"e-2"
    decision, _ = accepted(ask(door, NAMED + query, way=way, last_event_id=header))
    assert decision.position == 2


@pytest.mark.parametrize(("kept", "reason"), [("old-1", "epoch"), ("nonsense", "foreign")])
def test_what_was_acknowledged_in_another_log_is_a_gap(door: Door, kept: str, reason: str) -> None:
    decision, _ = accepted(ask(door, NAMED, recalled=Recalled(kept)))
    assert decision.gap is not None
    assert (decision.gap.start, decision.gap.reason) == (kept, reason)


def test_where_the_store_is_out_of_reach_it_is_bounced(door: Door) -> None:
    decision = ask(door, NAMED, recalled=Recalled(reached=False))
    assert isinstance(decision, Bounce)
    assert decision.reason == "unavailable"
    assert decision.body.startswith(b"retry: 1000\n")


def test_a_pod_that_takes_no_streams_looks_nothing_up(door: Door) -> None:
    for way in ("takeover", "asgi"):
        assert isinstance(ask(door, NAMED, POD._replace(refusing="drain"), way=way), Bounce)
        many = POD._replace(streams_of=lambda _: 9, liveness_of=lambda _: Liveness(9, 0))
        assert isinstance(ask(door, NAMED, many, way=way), Refuse)


def test_head_looks_nothing_up(door: Door) -> None:
    decision = door.decide(
        GET._replace(method="HEAD", path=b"/sse/subscribe/42", query=b"stream=s"), POD, "asgi"
    )
    assert isinstance(decision, Accept)
    assert decision.headers_only


@pytest.mark.parametrize("way", ["takeover", "asgi"])
@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/sse/subscribe/42?stream=", "bad_stream"),
        ("/sse/subscribe/42?stream=a+b", "bad_stream"),
        (f"/sse/subscribe/42?stream={'x' * 65}", "bad_stream"),
        ("/events?stream=orders", "no_client"),
    ],
)
def test_a_bad_name_is_refused(door: Door, path: str, error: str, way: str) -> None:
    decision = ask(door, path, way=way)
    assert isinstance(decision, Refuse)
    assert (decision.error.code, decision.error.field) == (error, "stream")
    assert decision.status == 400
