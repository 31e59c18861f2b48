"""Clients that hand over and clients that do not leave a pod evenly mixed."""

from __future__ import annotations

import random
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.drain.mixing import Mix
from tidegate.score.measures import peak_in_window

RATE_PER_S = 40.0
RETRY_S = 0.75
PODS, STREAMS = 5, 100


def mixed(plain: int, handing_over: int) -> list[bool]:
    """The order in which a pod's clients go; true for one that hands over."""
    order, mix = [], Mix()
    while plain + handing_over:
        hands_over, mix = mix.next(plain, handing_over)
        order.append(hands_over)
        plain, handing_over = plain - (not hands_over), handing_over - hands_over
    return order


def peak(order: list[bool]) -> int:
    """The most returns in one second when they go in this order, at an even pace."""
    return peak_in_window(
        n / RATE_PER_S + (0.0 if hands_over else RETRY_S) for n, hands_over in enumerate(order)
    )


@given(st.integers(0, 300), st.integers(0, 300))
def test_at_any_moment_as_many_of_each_kind_are_gone_as_is_their_share(
    plain: int, handing_over: int
) -> None:
    order = mixed(plain, handing_over)
    assert (len(order), sum(order)) == (plain + handing_over, handing_over)
    for gone, handed_over in enumerate(accumulate(order), start=1):
        assert abs(handed_over - gone * handing_over / len(order)) <= 1.0


def test_a_pod_after_the_other_comes_back_within_the_budget_by_chance_it_does_not() -> None:
    """Every pod's share is another; the goal on a real cluster is 1.15 of the budget."""
    peaks, by_chance = [], []
    for seed in range(200):
        draw = random.Random(seed)
        fleet = [[draw.random() < 0.1 for _ in range(STREAMS)] for _ in range(PODS)]
        by_chance.append(peak([one for pod in fleet for one in pod]))
        counts = [sum(pod) for pod in fleet]
        peaks.append(peak([one for n in counts for one in mixed(STREAMS - n, n)]))
    assert (min(by_chance), max(by_chance)) == (43, 50)
    assert (min(peaks), max(peaks)) == (41, 44)


def test_no_stream_left_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="no stream"):
        Mix().next(0, 0)
