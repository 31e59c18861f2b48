"""Event boundaries are found wherever the bytes are split, as a byte by byte reading finds them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.proxy.boundaries import Boundaries
from tidegate.wire.decode import Decoder, Event

STREAMS = st.lists(
    st.sampled_from(
        [
            b"\n",
            b"\r",
            b"\r\n",
            b"data: x",
            b"data:",
            b":",
            b"id: 1",
            b"\xef\xbb\xbf",
            b"\xef",
            b"\xc3\xa9",
        ]
    ),
    max_size=24,
).map(b"".join)


def splits(stream: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({min(cut, len(stream)) for cut in cuts})
    return [stream[a:b] for a, b in zip([0, *at], [*at, len(stream)], strict=True)]


class Reference:
    """The standard read one byte at a time."""

    def __init__(self) -> None:
        self.seen = b""
        self.line = b""
        self.blank = True
        self.cr = False

    def byte(self, byte: bytes) -> None:
        self.seen += byte
        if self.seen == b"\xef\xbb\xbf":
            self.line, self.blank = b"", True
        elif self.cr and byte == b"\n":
            self.cr = False
        elif byte in b"\r\n":
            self.blank, self.line, self.cr = not self.line, b"", byte == b"\r"
        else:
            self.line, self.blank, self.cr = self.line + byte, False, False


@given(STREAMS, st.lists(st.integers(0, 60), max_size=8))
def test_the_state_is_that_of_a_byte_by_byte_reading(stream: bytes, cuts: list[int]) -> None:
    boundaries, reference = Boundaries(), Reference()
    for part in splits(stream, cuts):
        boundaries.feed(part)
        for i in range(len(part)):
            reference.byte(part[i : i + 1])
        assert boundaries.is_between_events == reference.blank


@given(STREAMS, STREAMS)
def test_the_first_boundary_is_the_end_of_the_event_under_way(before: bytes, data: bytes) -> None:
    boundaries = Boundaries()
    boundaries.feed(before)
    reference = Reference()
    for i in range(len(before)):
        reference.byte(before[i : i + 1])
    skipped = reference.cr and data.startswith(b"\n")
    expected = (1 if skipped else 0) if reference.blank else -1
    for i in range(len(data)):
        if expected >= 0:
            break
        reference.byte(data[i : i + 1])
        crlf = data[i : i + 2] == b"\r\n"
        if reference.blank and data[i : i + 1] in b"\r\n":
            expected = i + (2 if crlf else 1)
    if b"\xef" not in before[:3] + data[:3]:  # a mark's own end is no end of an event
        assert boundaries.first_in(data) == expected


@given(STREAMS, STREAMS)
def test_other_lines_at_a_boundary_change_no_event(before: bytes, after: bytes) -> None:
    boundaries = Boundaries()
    boundaries.feed(before)
    if not boundaries.takes_more:
        return
    plain = [i for i in Decoder().feed(before + after) if isinstance(i, Event)]
    mixed = [i for i in Decoder().feed(before + b":\nretry: 5\n" + after) if isinstance(i, Event)]
    assert mixed == plain


@pytest.mark.parametrize(
    ("stream", "between"),
    [
        (b"", True), (b"data: a\n\n", True), (b"data: a\r\n\r\n", True), (b"data: a\r\r", True),
        (b"data: a\n\r\n", True), (b"data: a\r\n", False), (b"data: a\n", False), (b"data", False),
        (b"\xef\xbb\xbf", True), (b"\xef\xbb", False), (b"data: a\n\n\n", True),
    ],
)  # fmt: skip
def test_common_endings(stream: bytes, between: bool) -> None:
    boundaries = Boundaries()
    boundaries.feed(stream)
    assert boundaries.is_between_events is between


def test_nothing_is_put_where_a_line_feed_or_a_mark_may_still_come() -> None:
    boundaries = Boundaries()
    assert boundaries.is_at_start
    assert not boundaries.takes_more
    boundaries.feed(b"data: a\r\r")
    assert boundaries.is_between_events
    assert not boundaries.takes_more
    boundaries.feed(b"\n")
    assert boundaries.takes_more
