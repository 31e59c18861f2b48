"""The lives of a log: where a client of an earlier one goes on."""

from __future__ import annotations

import pytest

from tidegate.contract.errors import DocumentError
from tidegate.contract.publish import To
from tidegate.contract.stream_events import Gap
from tidegate.contract.stream_settings import StreamSettings
from tidegate.stream.lives import MAX_LIVES, Life, Lives, one_life, read_lives
from tidegate.stream.log import EventLog, LogEntry
from tidegate.stream.resume import resume
from tidegate.wire.cursors import Cursor, parse_cursor

LIVES = one_life("b").begin("b.x1", 10).begin("b.x2", 75)


@pytest.mark.parametrize(
    ("cursor", "seen"),
    [
        (Cursor("b", 7), 7),
        (Cursor("b", 60), 10),
        (Cursor("b.x1", 60), 60),
        (Cursor("b.x1", 90), 75),
        (Cursor("b.lost", 3), 75),
        (Cursor("other", 60), 0),
        (Cursor("other.x1", 60), 0),
    ],
    ids=str,
)
def test_how_far_a_client_of_another_life_has_seen(cursor: Cursor, seen: int) -> None:
    assert LIVES.seen(cursor) == seen


def test_lives_that_began_beyond_the_end_are_lost_with_it() -> None:
    assert LIVES.begin("b.x3", 40).all == (Life("b.x3", 40), Life("b.x1", 10), Life("b", 0))


def test_they_are_written_and_read_and_bounded() -> None:
    assert read_lives(str(LIVES)) == LIVES
    many = one_life("b")
    for n in range(20):
        many = many.begin(f"b.{n}", n)
    assert len(many.all) == MAX_LIVES
    for bad in ("", "nonsense here", "b.x1-10 x"):
        with pytest.raises(DocumentError):
            read_lives(bad)


def test_a_stream_of_an_earlier_life_gets_a_gap_and_nothing_twice() -> None:
    log = EventLog("0")
    log.reset("b.x1", 0, Lives((Life("b.x1", 10), Life("b", 0))))
    for seq in range(1, 15):
        log.append(LogEntry(seq, To(everyone=True), str(seq)))
    for came_with, goes_on in (("b-60", 10), ("b-7", 7), ("b.gone-3", 10), ("other-9", 0)):
        start = resume(log, (), None, parse_cursor(came_with), StreamSettings())
        assert start.position == goes_on
        assert start.gap == Gap(came_with, log.cursor(goes_on), "epoch")
