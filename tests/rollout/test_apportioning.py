"""Fractional shares as whole streams: nothing is lost in the cutting, and nothing is added."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.rollout.apportion import apportion

SHARES = st.dictionaries(st.text("abc", max_size=4), st.floats(0, 1000), max_size=60)


def test_many_small_shares_add_up() -> None:
    shares = {f"pod-{i:02d}": 17 / 49 for i in range(49)}
    assert sum(apportion(shares).values()) == 17


def test_the_largest_remainders_are_rounded_up() -> None:
    assert apportion({"a": 1.2, "b": 2.9, "c": 0.9}) == {"a": 1, "b": 3, "c": 1}


@given(SHARES)
def test_each_is_its_share_rounded_and_the_sum_is_the_sum(shares: dict[str, float]) -> None:
    whole = apportion(shares)
    assert list(whole) == list(shares)
    assert all(math.floor(s) <= whole[key] <= math.floor(s) + 1 for key, s in shares.items())
    total = math.fsum(shares.values())
    assert sum(whole.values()) in (math.floor(total), round(total))
    assert sum(whole.values()) <= total + 1e-6


@pytest.mark.parametrize("shares", [{}, {"a": 0.0}, {"a": 0.4, "b": 0.4}])
def test_less_than_one_stream_is_none(shares: dict[str, float]) -> None:
    assert sum(apportion(shares).values()) == 0
