"""When a run is over: every client is back, and then it is quiet."""

from __future__ import annotations

from tidegate.score.observe import BACK_AT_MOST_S, QUIET_AT_MOST_S, QUIET_S, is_over


def test_silence_while_a_client_is_away_is_no_end() -> None:
    assert not is_over(100.0 + QUIET_S, 100.0, 50.0, all_back=False)
    assert is_over(100.0 + QUIET_S, 100.0, 50.0, all_back=True)


def test_the_quiet_begins_with_the_last_change() -> None:
    assert not is_over(110.0, 100.0, 105.0, all_back=True)
    assert is_over(105.0 + QUIET_S, 100.0, 105.0, all_back=True)


def test_a_fleet_that_never_rests_and_a_client_that_never_returns_are_not_waited_for() -> None:
    assert is_over(100.0 + QUIET_AT_MOST_S, 100.0, 99.0 + QUIET_AT_MOST_S, all_back=True)
    assert not is_over(100.0 + QUIET_AT_MOST_S, 100.0, 100.0, all_back=False)
    assert is_over(100.0 + BACK_AT_MOST_S, 100.0, 100.0, all_back=False)
