"""Who is opened, and how fast is let go towards them, where room runs short."""

from __future__ import annotations

import pytest

from tidegate.rollout.steering import TAIL_FLOOR, Candidate, Outlook, steer


def candidates(*loads: float) -> list[Candidate]:
    return [Candidate(f"pod-{i}", load) for i, load in enumerate(loads)]


def outlook(in_air: float, left: float | None, target: float = 100.0) -> Outlook:
    return Outlook(
        target=target,
        in_air=in_air,
        left=left,
        budget_per_s=40.0,
        horizon_s=2.0,
        retry_s=0.75,
    )


def test_with_room_for_all_that_comes_the_budget_is_used() -> None:
    steering = steer(candidates(0, 0, 0), frozenset(), outlook(30, 200))
    assert steering.open == {"pod-0", "pod-1", "pod-2"}
    assert steering.rate_per_s == 40.0


def test_the_one_that_chance_has_left_behind_is_filled_before_the_last_streams_come() -> None:
    """All five have a little more room together, but would end at 72 to 102; the emptiest two take
    not much longer."""
    steering = steer(candidates(60, 80, 83, 88, 90), frozenset(), outlook(26, 84))
    assert steering.open == {"pod-0", "pod-1"}
    assert TAIL_FLOOR * 40.0 < steering.rate_per_s < 40.0


@pytest.mark.parametrize("left", [1.0, 10.0, 100.0])
def test_where_nothing_has_room_the_drain_goes_on_slowly(left: float) -> None:
    steering = steer(candidates(110, 112, 111), frozenset(), outlook(0, left))
    assert steering.rate_per_s == TAIL_FLOOR * 40.0
    assert steering.open


def test_a_set_that_is_nearly_as_good_is_kept() -> None:
    open_now = frozenset({"pod-0", "pod-1"})
    assert steer(candidates(50, 50, 51), open_now, outlook(4, 0.5)).open == open_now


def test_a_small_fleet_has_as_much_slack_as_chance_asks_for() -> None:
    assert outlook(0, None, target=100.0).ceiling == pytest.approx(103.0)
    assert outlook(0, None, target=10_000.0).ceiling == pytest.approx(10_050.0)
