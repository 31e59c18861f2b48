import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.contract.errors import CallerError
from tidegate.contract.stream_events import Connected, Gap, Shutdown
from tidegate.wire.decode import Decoder, Event, Retry
from tidegate.wire.encode import (
    HEARTBEAT,
    ConnectedEncoder,
    encode_cursor,
    encode_event,
    encode_gap,
    encode_retry,
    encode_shutdown,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "wire" / "encode.json"


@pytest.mark.parametrize("vector", json.loads(VECTORS.read_text()), ids=lambda v: v["name"])
def test_encodes_as_the_vectors_say(vector: dict[str, Any]) -> None:
    given = vector["given"]
    encoded = encode_event(
        given["data"],
        event=given.get("event"),
        event_id=given.get("id"),
        retry_ms=given.get("retry_ms"),
    )
    assert encoded.decode() == vector["text"]


@pytest.mark.parametrize("character", ["\r", "\n", "\0", "\r\n"], ids=["CR", "LF", "NUL", "CRLF"])
@pytest.mark.parametrize("field", ["event", "event_id"])
def test_refuses_what_would_break_a_line(field: str, character: str) -> None:
    broken: dict[str, Any] = {field: f"a{character}b"}
    with pytest.raises(CallerError, match="CR, LF or NUL") as raised:
        encode_event("x", **broken)
    assert raised.value.field == field.removeprefix("event_")


def test_refuses_half_a_surrogate_pair() -> None:
    with pytest.raises(CallerError, match="surrogate"):
        encode_event("a\ud800")
    with pytest.raises(CallerError, match="surrogate"):
        encode_event("x", event="\udfff")


@pytest.mark.parametrize("retry_ms", [0, -1])
def test_never_sends_a_hot_loop(retry_ms: int) -> None:
    with pytest.raises(CallerError):
        encode_retry(retry_ms)


@given(
    st.text(st.characters(exclude_categories=["Cs"])) | st.just("web-%d-%s"),
    st.integers(0, 1 << 40),
    st.integers(0, 100_000),
    st.booleans(),
)
def test_connected_carries_retry_and_position(
    pod: str, number: int, spread_ms: int, replay: bool
) -> None:
    encoded = ConnectedEncoder(pod, 15_000).encode(
        event_id="e-7", stream=number, spread_ms=spread_ms, replay=replay, retry_ms=1250
    )
    retry, event = Decoder().feed(encoded)
    assert retry == Retry(1250)
    assert isinstance(event, Event)
    assert (event.type, event.id) == ("connected", "e-7")
    said = Connected(pod, f"{number:x}", 15_000, spread_ms, replay)
    assert json.loads(event.data) == said.to_json()


def test_connected_without_a_retry() -> None:
    encoded = ConnectedEncoder("p", 1).encode(
        event_id="e-0", stream=0, spread_ms=0, replay=False, retry_ms=None
    )
    assert b"retry" not in encoded


def test_connected_refuses_half_a_surrogate_pair() -> None:
    with pytest.raises(CallerError, match="surrogate"):
        ConnectedEncoder("p\ud800", 1)


def test_gap_ends_where_the_stream_goes_on() -> None:
    [event] = Decoder().feed(encode_gap(Gap("e-1", "e-9", "lagged")))
    assert isinstance(event, Event)
    assert (event.type, event.id) == ("gap", "e-9")
    assert json.loads(event.data) == {"from": "e-1", "to": "e-9", "reason": "lagged"}


def test_cursor_may_bring_a_new_retry() -> None:
    assert Decoder().feed(encode_cursor("e-3", 4000)) == [
        Retry(4000),
        Event("cursor", "{}", "e-3"),
    ]


def test_goodbye_tells_when_to_come_back_twice() -> None:
    retry, event = Decoder().feed(encode_shutdown(Shutdown("drain", 750, 0), "e-3"))
    assert retry == Retry(750)
    assert isinstance(event, Event)
    assert (event.type, event.id) == ("shutdown", "e-3")
    assert json.loads(event.data) == {
        "reason": "drain",
        "reconnect_after_ms": 750,
        "deadline_ms": 0,
    }


def test_goodbye_to_a_handover_client_has_no_retry_and_a_bounce_no_id() -> None:
    assert b"retry:" not in encode_shutdown(Shutdown("drain", 0, 5000), "e-3")
    assert b"id:" not in encode_shutdown(Shutdown("overloaded", 1000, 0), None)


def test_heartbeat_is_a_comment_that_dispatches_nothing() -> None:
    decoder = Decoder()
    decoder.feed(b"id: 1\ndata: x\n\n")
    assert not [item for item in decoder.feed(HEARTBEAT) if isinstance(item, Event)]
    assert b"\n\n" not in HEARTBEAT


def test_data_of_several_lines_keeps_its_id_type_and_retry() -> None:
    encoded = encode_event("a\nb\r\nc", event="news", event_id="e-1", retry_ms=1500)
    assert Decoder().feed(encoded) == [Retry(1500), Event("news", "a\nb\nc", "e-1")]
