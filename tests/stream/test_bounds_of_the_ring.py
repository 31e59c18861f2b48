"""Edges of the ring and its index: what is dropped, when, and what a reader gets of the rest."""

from __future__ import annotations

import pytest

from tidegate.contract.errors import CallerError
from tidegate.contract.publish import To
from tidegate.stream.log import EventLog, LogEntry
from tidegate.stream.positions import Positions
from tidegate.stream.requests import read_acknowledge_target

EVERYONE = To(everyone=True)


def filled(count: int, **bounds: int) -> EventLog:
    log = EventLog("e", **bounds)
    for seq in range(1, count + 1):
        log.append(LogEntry(seq, EVERYONE, "x"))
    return log


@pytest.mark.parametrize(
    ("held", "count", "floor"),
    [(3, 2, 0), (5, 0, 0), (5, 1, 1), (5, 3, 3), (5, 5, 5), (5, 9, 5)],
    ids=["room for all", "none", "one", "some", "all of it", "more than the ring holds"],
)
def test_the_floor_is_known_before_events_are_appended(held: int, count: int, floor: int) -> None:
    log = filled(held, max_events=5)
    assert log.floor_after(count, 0) == floor
    for seq in range(held + 1, held + count + 1):
        log.append(LogEntry(seq, EVERYONE, "x"))
    assert min(log.floor, held) == floor


def test_the_floor_by_bytes_counts_what_each_dropped_event_frees() -> None:
    log = filled(4, max_events=100)
    each = log.bytes // 4
    bounded = filled(4, max_events=100, max_bytes=each * 4)
    assert bounded.floor_after(0, 0) == 0
    assert bounded.floor_after(1, 1) == 1
    assert bounded.floor_after(1, each) == 1
    assert bounded.floor_after(2, each + 1) == 2
    assert bounded.floor_after(9, each * 9) == 4


def test_an_event_that_fits_the_bound_exactly_is_given_and_the_next_is_not() -> None:
    log = filled(3)
    one = len(log.lacking((), None, 0, max_events=1, max_bytes=1).data)
    exact = log.lacking((), None, 0, max_events=9, max_bytes=2 * one)
    assert (exact.count, exact.position, exact.complete) == (2, 2, False)
    short = log.lacking((), None, 0, max_events=9, max_bytes=2 * one - 1)
    assert (short.count, short.position, short.complete) == (1, 1, False)
    rest = log.lacking((), None, 1, max_events=9, max_bytes=2 * one)
    assert (rest.count, rest.position, rest.complete) == (2, 3, True)


def test_a_complete_answer_stands_at_the_head_and_never_behind_the_reader() -> None:
    log = filled(2)
    log.advance(7)
    assert log.lacking((), None, 0, max_events=9, max_bytes=9999).position == 7
    assert log.lacking((), None, 9, max_events=9, max_bytes=9999).position == 9


def test_positions_are_dropped_from_the_front_only_and_compacted_late() -> None:
    positions = Positions()
    for seq in range(1, 21):
        positions.append(seq)
    positions.drop(2)
    assert len(positions) == 20, "2 is not the lowest"
    for seq in range(1, 20):
        positions.drop(seq)
        assert len(positions) == 20 - seq
        assert positions.first_after(0, 2) == [*range(seq + 1, 21)][:2]
        assert positions.last_after(0, 1) == [20]
    positions.drop(19)
    assert len(positions) == 1
    positions.drop(20)
    positions.drop(20)
    assert len(positions) == 0


@pytest.mark.parametrize(
    ("path", "query", "code", "field"),
    [
        (b"/sse/subscribe/42/ack", b"", "missing_field", "stream"),
        (b"/sse/subscribe/42/ack", b"strea=orders", "missing_field", "stream"),
        (b"/sse/subscribe/42/ack", b"stream=", "bad_stream", "stream"),
        (b"/sse/subscribe/42/ack", b"stream=a%20b", "bad_stream", "stream"),
        (b"/sse/subscribe/%00/ack", b"stream=orders", "bad_client", "client_id"),
        (b"/sse/subscribe/../ack", b"stream=orders", "bad_client", "client_id"),
    ],
)
def test_an_acknowledgement_without_a_clear_target_names_the_field(
    path: bytes, query: bytes, code: str, field: str
) -> None:
    with pytest.raises(CallerError) as refused:
        read_acknowledge_target(path, query)
    assert (refused.value.code, refused.value.field) == (code, field)


def test_an_acknowledgement_is_for_the_client_and_stream_of_its_address() -> None:
    key = read_acknowledge_target(b"/sse/subscribe/a%40b/ack", b"topic=x&stream=orders&stream=no")
    assert (key.client, key.stream) == ("a@b", "orders")
