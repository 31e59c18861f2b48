import pytest

from tidegate.contract.publish import To
from tidegate.contract.stream_events import Gap
from tidegate.contract.stream_settings import StreamSettings
from tidegate.stream.log import EventLog, LogEntry
from tidegate.stream.resume import Resumption, catch_up, resume
from tidegate.wire.cursors import Cursor, ForeignCursor

LIMITS = StreamSettings(replay_max_events=5, replay_max_bytes=10_000)


@pytest.fixture
def log() -> EventLog:
    """Events 11 to 20 retained, for everyone; 21 to 23 only for topic a."""
    log = EventLog("e", max_events=13)
    for seq in range(1, 21):
        log.append(LogEntry(seq, To(everyone=True), "x"))
    for seq in range(21, 24):
        log.append(LogEntry(seq, To(topics=("a",)), "x"))
    return log


def test_without_a_cursor_at_the_head(log: EventLog) -> None:
    assert resume(log, (), None, None, LIMITS) == Resumption(23)


def test_a_cursor_within_the_ring_is_honoured(log: EventLog) -> None:
    assert resume(log, (), None, Cursor("e", 16), LIMITS) == Resumption(16)
    assert resume(log, ("a",), None, Cursor("e", 18), LIMITS) == Resumption(18)


def test_more_than_the_bound_is_a_gap_up_to_the_newest_that_fits(log: EventLog) -> None:
    assert resume(log, (), None, Cursor("e", 13), LIMITS) == Resumption(
        15, Gap("e-13", "e-15", "expired")
    )
    tight = StreamSettings(replay_max_events=100, replay_max_bytes=2 * 20)
    assert resume(log, (), None, Cursor("e", 13), tight).position > 15


def test_a_cursor_below_the_ring_has_expired(log: EventLog) -> None:
    assert resume(log, (), None, Cursor("e", 4), StreamSettings()) == Resumption(
        10, Gap("e-4", "e-10", "expired")
    )


def test_a_cursor_ahead_of_this_pod_is_waited_for_if_the_store_has_it(log: EventLog) -> None:
    assert resume(log, (), None, Cursor("e", 30), LIMITS, newest=30) == Resumption(30)


@pytest.mark.parametrize("newest", [0, 30])
def test_a_cursor_from_the_future_is_a_gap(log: EventLog, newest: int) -> None:
    assert resume(log, (), None, Cursor("e", 31), LIMITS, newest=newest) == Resumption(
        23, Gap("e-31", "e-23", "foreign")
    )


def test_another_epoch_and_a_foreign_id_go_on_at_the_oldest_that_fits(log: EventLog) -> None:
    assert resume(log, (), None, Cursor("d", 99), LIMITS) == Resumption(
        15, Gap("d-99", "e-15", "epoch")
    )
    assert resume(log, (), None, ForeignCursor("tx9"), LIMITS) == Resumption(
        15, Gap("tx9", "e-15", "foreign")
    )


def test_with_replay_off_everything_missed_is_a_gap(log: EventLog) -> None:
    off = StreamSettings(replay=False)
    assert resume(log, (), None, Cursor("e", 16), off) == Resumption(
        23, Gap("e-16", "e-23", "expired")
    )
    assert resume(log, (), None, Cursor("e", 23), off) == Resumption(23)


def test_a_slow_stream_lags_only_when_the_ring_has_moved_on(log: EventLog) -> None:
    assert catch_up(log, (), None, 10, LIMITS) == Resumption(10)
    assert catch_up(log, (), None, 9, LIMITS) == Resumption(15, Gap("e-9", "e-15", "lagged"))
