"""The load clients' own reading of the wire: any split, and nothing but a stream."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate_lab.load.wire import BadStreamError, BlockReader, Head, fields_of, parse_head

BLOCKS = [b"retry: 1500", b"id: e-7\nevent: connected\ndata: {}", b": beat", b"id: e-8\ndata: x"]
TEXT = b"".join(block + b"\n\n" for block in BLOCKS)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    at = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[i:j] for i, j in pairwise(at)]


@given(st.lists(st.integers(0, 500), max_size=8), st.lists(st.integers(0, 500), max_size=8))
def test_blocks_survive_every_split_of_chunks_and_reads(
    framing: list[int], reads: list[int]
) -> None:
    body = b"".join(chunk(piece) for piece in in_pieces(TEXT, framing) if piece) + b"0\r\n\r\n"
    reader = BlockReader(chunked=True)
    blocks = [block for piece in in_pieces(body, reads) for block in reader.feed(piece)]
    assert blocks == BLOCKS
    assert reader.ended


@given(st.lists(st.integers(0, 500), max_size=8))
def test_an_unframed_body_reads_the_same(reads: list[int]) -> None:
    reader = BlockReader(chunked=False)
    assert [b for piece in in_pieces(TEXT, reads) for b in reader.feed(piece)] == BLOCKS


def test_half_an_event_is_none() -> None:
    reader = BlockReader(chunked=True)
    assert reader.feed(chunk(b"data: 1\n")) == []
    assert not reader.ended


def test_fields() -> None:
    assert fields_of(BLOCKS[0]) == (b"message", None, b"", 1500)
    assert fields_of(BLOCKS[1]) == (b"connected", b"e-7", b"{}", None)
    assert fields_of(BLOCKS[2]) == (b"message", None, b"", None)
    assert fields_of(b"data: a\ndata: b\nretry: x") == (b"message", None, b"a\nb", None)


def test_head() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    assert parse_head(raw + b"Transfer-Encoding: chunked") == Head(200, "text/event-stream", True)
    assert parse_head(b"HTTP/1.0 503 No") == Head(503, "", False)


@pytest.mark.parametrize("raw", [b"", b"SSH-2.0-x", b"HTTP/1.1 abc no"])
def test_what_is_no_response(raw: bytes) -> None:
    with pytest.raises(BadStreamError):
        parse_head(raw)


def test_what_is_no_chunk() -> None:
    with pytest.raises(BadStreamError):
        BlockReader(chunked=True).feed(b"data: 1\r\n")
