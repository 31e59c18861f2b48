"""Bodies end where they should, wherever the bytes are split; doubtful framing is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.contract.errors import CallerError, DocumentError
from tidegate.proxy.bodies import MAX_SIZE_LINE, MAX_TRAILER_BYTES, Body, Chunked, Sized
from tidegate.proxy.forwarding import forwarded_head
from tidegate.proxy.heads import head_problem, read_request, read_response

PARTS = st.lists(st.binary(min_size=1, max_size=40), max_size=8)
CUTS = st.lists(st.integers(0, 400), max_size=12)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({min(cut, len(data)) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)]


def fed(body: Body, parts: list[bytes]) -> tuple[bytes, bytes]:
    payload = rest = b""
    for part in parts:
        if body.is_done:
            rest += part
            continue
        got, behind = body.feed(part)
        payload, rest = payload + got, rest + behind
    return payload, rest


def chunked(parts: list[bytes], extension: bytes = b"", trailer: bytes = b"") -> bytes:
    chunks = b"".join(b"%x%b\r\n%b\r\n" % (len(p), extension, p) for p in parts)
    return chunks + b"0\r\n" + trailer + b"\r\n"


@given(
    PARTS, CUTS, st.sampled_from([b"", b";a=b", b' ; x="y"']), st.sampled_from([b"", b"A: b\r\n"])
)
def test_a_chunked_body_ends_where_it_ends(
    parts: list[bytes], cuts: list[int], extension: bytes, trailer: bytes
) -> None:
    body = Chunked()
    data = chunked(parts, extension, trailer) + b"GET / next"
    assert fed(body, split(data, cuts)) == (b"".join(parts), b"GET / next")
    assert body.is_done
    assert body.last_chunk == b"0\r\n" + trailer + b"\r\n"


@given(PARTS, CUTS)
def test_what_is_called_whole_may_be_passed_on_as_it_is(
    parts: list[bytes], cuts: list[int]
) -> None:
    sender, receiver = Chunked(), Chunked()
    passed = b""
    for part in split(chunked(parts), cuts):
        payload, _ = sender.feed(part)
        if sender.is_whole:
            assert receiver.feed(part) == (payload, b"")
            assert receiver.is_between_chunks
        passed += payload
    assert passed == b"".join(parts)


@given(st.binary(max_size=100), CUTS, st.integers(0, 100))
def test_a_body_of_a_given_length_ends_there(data: bytes, cuts: list[int], length: int) -> None:
    body = Sized(length)
    assert fed(body, split(data, cuts)) == (data[:length], data[length:])
    assert body.is_done == (len(data) >= length)


@pytest.mark.parametrize(
    "data",
    [
        b"5\nhello\r\n0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n", b"5\r\nhelloX\r\n", b"0x5\r\nhello\r\n",
        b"+5\r\nhello\r\n", b"-1\r\n", b" 5\r\nhello\r\n", b"5 \r\nhello\r\n", b"\r\n",
        b"5;\x00\r\n",
        b"5_0\r\n", b"g\r\n", b"ffffffffffffffff\r\n", b"0\r\nA : b\r\n\r\n", b"0\r\n A: b\r\n\r\n",
        b"0\r\nContent-Length: 5\r\n\r\n", b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"0\r\nHost: b\r\n\r\n", b"0\nA: b\r\n\r\n", b"5;a\rb\r\nhello\r\n",
        b"5;" + b"a" * MAX_SIZE_LINE, b"0\r\nA: " + b"b" * MAX_TRAILER_BYTES,
        b"5;" + b"a" * MAX_SIZE_LINE + b"\r\nhello\r\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("at_once", [True, False])
def test_doubtful_chunks_are_refused(data: bytes, at_once: bool) -> None:
    parts = [data] if at_once else [data[i : i + 1] for i in range(len(data))]
    body = Chunked()
    with pytest.raises(DocumentError):
        fed(body, parts)


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ([("Content-Length", "5"), ("Content-Length", "5")], "content-length"),
        ([("Content-Length", "5, 5")], "content-length"),
        ([("Content-Length", "+5")], "content-length"),
        ([("Content-Length", "5"), ("Transfer-Encoding", "chunked")], "content-length"),
        ([("Transfer-Encoding", "gzip, chunked")], "transfer-encoding"),
        ([("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")], "transfer-encoding"),
        ([("Transfer-Encoding", "identity")], "transfer-encoding"),
        ([("Host", "b")], "host"),
    ],
)
def test_a_doubtful_head_is_refused(headers: list[tuple[str, str]], field: str) -> None:
    fields = [(n.encode(), v.encode()) for n, v in [("Host", "a"), *headers]]
    with pytest.raises(CallerError) as refused:
        read_request(b"POST", b"/", "1.1", fields)
    assert refused.value.field == field
    if field != "host":
        with pytest.raises(CallerError) as answered:
            read_response(200, b"OK", "1.1", fields, b"GET")
        assert answered.value.status == 502


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\nHost: a\r\n",
        b"GET / HTTP/1.1\r\nA: b\r\n c\r\n",
        b"A: b\x00\r\n",
        b"A\rB\r\n",
    ],
)
def test_lines_that_readers_disagree_on_have_a_problem(head: bytes) -> None:
    assert head_problem(head) is not None


def test_a_beginning_that_may_go_on_well_has_none() -> None:
    head = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
    assert all(head_problem(head[:n]) is None for n in range(len(head) + 1))


def test_a_forwarded_head_frames_its_body_once() -> None:
    fields = [(b"Host", b"a"), (b"Transfer-Encoding", b"Chunked"), (b"Connection", b"x, close")]
    request = read_request(b"POST", b"/", "1.1", [*fields, (b"X", b"1")])
    head = forwarded_head(request, "::1", is_trusted=False, last=False)
    assert head.lower().count(b"transfer-encoding") == 1
    assert b"\r\nX: 1" not in head
    assert b"lose" not in head
