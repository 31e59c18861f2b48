import base64
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.contract.errors import DocumentError
from tidegate.wire.decode import Comment, Decoder, Event, Item, Retry
from tidegate.wire.encode import encode_event

VECTORS = Path(__file__).parents[1] / "vectors" / "wire" / "decode.json"


def as_json(item: Item) -> dict[str, Any]:
    if isinstance(item, Event):
        return {"event": item.type, "data": item.data, "id": item.id}
    return {"retry_ms": item.ms} if isinstance(item, Retry) else {"comment": item.text}


def chunk_bytes(chunk: str | dict[str, str]) -> bytes:
    return chunk.encode() if isinstance(chunk, str) else base64.b64decode(chunk["base64"])


@pytest.mark.parametrize("vector", json.loads(VECTORS.read_text()), ids=lambda v: v["name"])
def test_decodes_as_the_vectors_say(vector: dict[str, Any]) -> None:
    decoder = Decoder()
    items = [
        as_json(item) for chunk in vector["chunks"] for item in decoder.feed(chunk_bytes(chunk))
    ]
    assert items == vector["expect"]
    if "last_event_id" in vector:
        assert decoder.last_event_id == vector["last_event_id"]


@pytest.mark.parametrize("vector", json.loads(VECTORS.read_text()), ids=lambda v: v["name"])
def test_where_the_chunks_are_split_makes_no_difference(vector: dict[str, Any]) -> None:
    whole = b"".join(map(chunk_bytes, vector["chunks"]))
    for at in range(len(whole) + 1):
        decoder = Decoder()
        items = [*decoder.feed(whole[:at]), *decoder.feed(whole[at:])]
        assert list(map(as_json, items)) == vector["expect"]


text = st.text(st.characters(codec="utf-8"), max_size=30)
one_line = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=12)


@given(
    st.lists(st.tuples(text, one_line, one_line), min_size=1, max_size=3),
    st.data(),
)
def test_round_trip_at_every_chunk_split(
    events: list[tuple[str, str, str]], data: st.DataObject
) -> None:
    encoded = b"".join(encode_event(d, event=e, event_id=i) for d, e, i in events)
    expected = [
        Event(e or "message", d.replace("\r\n", "\n").replace("\r", "\n"), i) for d, e, i in events
    ]
    for at in range(len(encoded) + 1):
        decoder = Decoder()
        assert decoder.feed(encoded[:at]) + decoder.feed(encoded[at:]) == expected
    cuts = sorted(data.draw(st.lists(st.integers(0, len(encoded)), max_size=8)))
    decoder = Decoder()
    bounds = [0, *cuts, len(encoded)]
    items = [i for a, b in pairwise(bounds) for i in decoder.feed(encoded[a:b])]
    assert items == expected


def test_a_bare_carriage_return_ends_the_line_at_once() -> None:
    assert Decoder().feed(b"data: x\r\r") == [Event("message", "x", "")]


def test_bytes_one_by_one() -> None:
    decoder = Decoder()
    stream = b"\xef\xbb\xbf: hi\r\nretry: 10\rid: 1\ndata: \xe2\x82\xac\r\n\r\n"
    items = [item for byte in stream for item in decoder.feed(bytes([byte]))]
    assert items == [Comment("hi"), Retry(10), Event("message", "€", "1")]


def test_the_last_event_id_of_earlier_connections_is_kept() -> None:
    decoder = Decoder(last_event_id="7")
    assert decoder.feed(b"data: x\n\n") == [Event("message", "x", "7")]


def feed_all(decoder: Decoder, chunk: bytes, times: int) -> None:
    for _ in range(times):
        decoder.feed(chunk)


@pytest.mark.parametrize("size", [1, 7, 101])
def test_a_line_has_a_limit(size: int) -> None:
    decoder = Decoder(max_line_bytes=100)
    feed_all(decoder, b"x" * size, 100 // size)
    with pytest.raises(DocumentError, match="line: is longer than 100 bytes"):
        decoder.feed(b"x" * size)


def test_an_event_has_a_limit() -> None:
    decoder = Decoder(max_event_bytes=100)
    feed_all(decoder, b"data: 12345678\n", 10)
    with pytest.raises(DocumentError, match="data: is larger than 100 bytes"):
        decoder.feed(b"data: 12345678\n")


def test_a_large_line_in_small_chunks_is_not_quadratic() -> None:
    decoder = Decoder(max_line_bytes=11 << 20, max_event_bytes=11 << 20)
    decoder.feed(b"data: ")
    for _ in range(10 * 1024):
        decoder.feed(b"x" * 1024)
    [event] = decoder.feed(b"\n\n")
    assert isinstance(event, Event)
    assert len(event.data) == 10 << 20
