"""The formulas of the scorecard, each against numbers worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.score.measures import (
    StreamChange,
    balance,
    batches,
    counts_at_end,
    last_empty_s,
    limit_s,
    peak_in_window,
    percentile,
    transient,
)

times = st.lists(st.integers(0, 40).map(lambda n: n / 4), max_size=40)


def test_percentile_is_a_value_that_occurred() -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert percentile(values, 0.50) == 50
    assert percentile(values, 0.99) == 99
    assert percentile([7.0], 0.99) == 7.0
    assert percentile([], 0.5) is None


def test_peak_slides_instead_of_binning() -> None:
    assert peak_in_window([0.9, 0.95, 1.0, 1.05]) == 4
    assert peak_in_window([0.0, 1.0, 2.0]) == 1
    assert peak_in_window([]) == 0


@given(times)
def test_peak_agrees_with_trying_every_window(at: list[float]) -> None:
    tried = max((sum(start <= t < start + 1.0 for t in at) for start in at), default=0)
    assert peak_in_window(at) == tried


def test_balance_counts_an_empty_pod() -> None:
    assert balance({"a": 30, "b": 10, "gone": 99}, ["a", "b", "c"]) == (30 / (40 / 3), 0.0)
    assert balance({}, ["a"]) is None


def test_the_last_old_pod_is_empty_when_its_last_stream_ends() -> None:
    changes = [
        StreamChange(0, "old", 1),
        StreamChange(1, "old", 1),
        StreamChange(4, "old", -1),
        StreamChange(5, "new", 1),
        StreamChange(6, "old", -1),
        StreamChange(9, "new", -1),
    ]
    assert last_empty_s(changes, {"old"}) == 6
    assert last_empty_s(changes[:4], {"old"}) is None
    assert last_empty_s(changes, {"other"}) is None
    assert counts_at_end(changes) == {"old": 0, "new": 0}


def test_a_pod_that_fills_again_is_not_empty() -> None:
    changes = [StreamChange(0, "a", 1), StreamChange(1, "a", -1), StreamChange(2, "a", 1)]
    assert last_empty_s(changes, {"a"}) is None


def test_transient_is_the_fullest_a_pod_ever_was() -> None:
    changes = [StreamChange(t, "new", 1) for t in range(6)]
    changes += [StreamChange(6 + t, "new", -1) for t in range(4)]
    assert transient(changes, {"new"}, target=4.0) == 1.5
    assert transient(changes, {"other"}, target=4.0) is None


def test_a_swap_at_one_moment_is_no_transient() -> None:
    changes = [StreamChange(0, "a", 1), StreamChange(1, "a", 1), StreamChange(1, "a", -1)]
    assert transient(changes, {"a"}, target=1.0) == 1.0


@pytest.mark.parametrize(
    ("pods", "surge", "unavailable", "expected"),
    [(5, 1, 0, 5), (5, 2, 1, 2), (10, 3, 0, 4), (1, 1, 0, 1)],
)
def test_batches(pods: int, surge: int, unavailable: int, expected: int) -> None:
    assert batches(pods, surge, unavailable) == expected


def test_limit_takes_the_slower_of_pace_and_budget() -> None:
    assert limit_s(5, 5.0, 1000, 80.0) == 5 * 5 + 1000 / 400
    assert limit_s(2, 1.0, 1000, 10.0) == 1.0 + 100.0
