"""Who gives streams away when a fleet at rest is uneven, and how many."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.rollout.rebalance import band, donors, excess, receivers

LOADS = st.lists(st.integers(0, 400), min_size=2, max_size=12)


def named(loads: list[int]) -> dict[str, float]:
    return {f"pod-{i}": float(n) for i, n in enumerate(loads)}


def test_only_the_fullest_gives_and_only_until_it_is_near_the_target() -> None:
    """Every stream that is shed is a second move for somebody."""
    assert donors(named([106, 101, 98, 97, 98]), 100.0, 0.0) == {"pod-0": 3.0}


def test_an_empty_pod_is_filled_by_all_others() -> None:
    given_away = donors(named([125, 125, 125, 125, 0]), 100.0, 0.0)
    assert set(given_away) == {"pod-0", "pod-1", "pod-2", "pod-3"}
    assert sum(given_away.values()) == pytest.approx(97.5, abs=4)


def test_what_is_in_the_air_already_is_not_given_twice() -> None:
    assert donors(named([101, 101, 101, 92]), 100.0, 6.0) == {}


def test_an_even_fleet_gives_nothing() -> None:
    assert donors(named([100, 101, 99]), 100.0, 0.0) == {}


@given(LOADS)
def test_nobody_gives_below_the_target_and_everybody_ends_near_it(loads: list[int]) -> None:
    before = named(loads)
    target = sum(loads) / len(loads)
    given_away = donors(before, target, 0.0)
    near = band(target, disturbed=True) / 2
    after = {uid: n - given_away.get(uid, 0.0) for uid, n in before.items()}
    # A stream is whole: the one that is rounded up may end less than one below the target.
    assert all(after[uid] > target - 1 for uid in given_away)
    assert all(n <= target + near + 1.0 for n in after.values())
    lacking = sum(max(0.0, target - near - n) for n in loads)
    assert sum(given_away.values()) >= lacking - len(loads)


@pytest.mark.parametrize(
    ("target", "disturbed", "streams"),
    [(0.0, True, 4.0), (10.0, True, 4.0), (100.0, True, 5.0), (10_000.0, True, 300.0),
     (100.0, False, 40.0), (1.0, False, 4.0)],
)  # fmt: skip
def test_a_band_is_as_wide_as_chance_and_never_less_than_a_few_streams(
    target: float, disturbed: bool, streams: float
) -> None:
    assert band(target, disturbed=disturbed) == streams


def test_the_excess_is_the_largest_distance_either_way() -> None:
    assert excess([100.0, 90.0, 105.0], 100.0) == 10.0
    assert excess([], 100.0) == 0.0
    assert receivers({"a": 99.0, "b": 100.0, "c": 101.0}, 100.0) == ["a"]
