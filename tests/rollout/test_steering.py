"""Who is opened, and how fast is let go towards them, where room runs short."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidegate.rollout.steering import (
    LAST_FLOOR,
    MEANWHILE_FLOOR,
    TAIL_FLOOR,
    Candidate,
    Outlook,
    horizon_s,
    steer,
)


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


def test_the_last_streams_have_more_slack_and_do_not_creep() -> None:
    nowhere = steer(candidates(110, 112, 111), frozenset(), replace(outlook(0, 10.0), last=True))
    assert nowhere.rate_per_s == LAST_FLOOR * 40.0
    assert replace(outlook(0, None), last=True).ceiling == pytest.approx(105.0)


def test_a_set_that_is_nearly_as_good_is_kept() -> None:
    open_now = frozenset({"pod-0", "pod-1"})
    assert steer(candidates(50, 50, 51), open_now, outlook(4, 0.5)).open == open_now


def test_a_small_fleet_has_as_much_slack_as_chance_asks_for() -> None:
    assert outlook(0, None, target=100.0).ceiling == pytest.approx(103.0)
    assert outlook(0, None, target=10_000.0).ceiling == pytest.approx(10_050.0)


def test_what_is_about_to_arrive_is_in_the_air_or_let_go_soon_enough() -> None:
    """At 40 a second, and 0.75 s of the two seconds ahead are spent in the air."""
    assert [outlook(30, left).need for left in (None, 200.0, 10.0)] == [80.0, 80.0, 40.0]
    assert horizon_s(1.2, 1.1) == pytest.approx(2.154)
    assert replace(outlook(0, None), retry_s=5.0).ordering_s == 0.1


@pytest.mark.parametrize(
    ("load", "rate_per_s"), [(60.0, 30.4), (90.0, TAIL_FLOOR * 40.0), (47.0, 40.0)]
)
def test_the_drain_slows_to_what_has_room(load: float, rate_per_s: float) -> None:
    """Up to a ceiling of 103, less the five in the air, over 1.25 s."""
    steering = steer(candidates(load), frozenset(), outlook(5, 200))
    assert steering.rate_per_s == pytest.approx(rate_per_s)


def test_an_overfull_pod_is_closed_for_one_that_has_room() -> None:
    assert steer(candidates(0, 120), frozenset({"pod-1"}), outlook(4, 20)).open == {"pod-0"}


def test_a_nearly_full_pod_that_stays_open_until_the_flip_lands_slows_the_drain() -> None:
    """The empty one has just got ready, and opened by itself."""
    both = frozenset({"pod-0", "pod-1"})
    now = outlook(4, 80)
    at_once = steer(candidates(0, 80), both, now)
    later = steer(candidates(0, 80), both, replace(now, lands_in_s=2.0))
    assert at_once.open == later.open == {"pod-0"}
    assert at_once.rate_per_s == 40.0
    room = 2 * (now.ceiling - 80) - 4
    assert later.rate_per_s == pytest.approx(room / (2.0 - now.retry_s))
    full = steer(candidates(0, 110), both, replace(now, lands_in_s=2.0))
    assert full.rate_per_s == MEANWHILE_FLOOR * 40.0
