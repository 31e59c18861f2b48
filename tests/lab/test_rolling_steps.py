"""The controllers of Deployments and StatefulSets: how many to create, whom to delete."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate_lab.fleet.deployment import (
    Replica,
    Step,
    in_place_step,
    recreate_step,
    rolling_step,
)


def old(uid: str, **more: object) -> Replica:
    return Replica(uid, "old", ready=True, available=True, **more)  # type: ignore[arg-type]


def new(uid: str, available: bool = True) -> Replica:
    return Replica(uid, "new", ready=available, available=available)


FIVE = [old(f"old-{n}") for n in range(5)]


def test_surge_first_then_one_for_one() -> None:
    assert rolling_step(FIVE, "new", 5, 1, 0) == Step(create=1)
    waiting = [*FIVE, new("n0", available=False)]
    assert rolling_step(waiting, "new", 5, 1, 0) == Step()
    assert rolling_step([*FIVE, new("n0")], "new", 5, 1, 0).delete == ("old-0",)


def test_default_strategy_deletes_at_once() -> None:
    step = rolling_step(FIVE, "new", 5, 2, 1)
    assert (step.create, len(step.delete)) == (2, 1)


def test_nothing_to_do_when_all_are_new() -> None:
    assert rolling_step([new(f"n{n}") for n in range(5)], "new", 5, 1, 0) == Step()


@pytest.mark.parametrize(
    ("pods", "first"),
    [
        ([old("a", deletion_cost=9), old("b", deletion_cost=1)], "b"),
        ([old("a", ready_s=1.0), old("b", ready_s=2.0)], "b"),
        ([old("a", deletion_cost=-5), replace(old("b"), ready=False, available=False)], "b"),
    ],
    ids=["lower cost", "newer", "not ready"],
)
def test_who_goes_first(pods: list[Replica], first: str) -> None:
    step = rolling_step([*pods, new("n0")], "new", 2, 1, 0)
    assert step.delete[0] == first


@given(
    replicas=st.integers(1, 12),
    surge=st.integers(0, 4),
    unavailable=st.integers(0, 4),
    patience=st.lists(st.integers(1, 4), min_size=1, max_size=5),
)
def test_every_rollout_ends_within_its_limits(
    replicas: int, surge: int, unavailable: int, patience: list[int]
) -> None:
    if surge + unavailable == 0:
        surge = 1
    pods = [old(f"old-{n}") for n in range(replicas)]
    waits: dict[str, int] = {}
    created = 0
    for _ in range(30 * (replicas + 1)):
        step = rolling_step(pods, "new", replicas, surge, unavailable)
        for _ in range(step.create):
            uid = f"new-{created}"
            waits[uid] = patience[created % len(patience)]
            created += 1
            pods.append(new(uid, available=False))
        pods = [p for p in pods if p.uid not in step.delete]
        assert len(pods) <= replicas + surge
        assert sum(p.available for p in pods) >= replicas - unavailable
        for uid in waits:
            waits[uid] -= 1
        pods = [new(p.uid) if waits.get(p.uid, 1) <= 0 else p for p in pods]
        if all(p.revision == "new" and p.available for p in pods) and len(pods) == replicas:
            return
    raise AssertionError("the rollout did not end")


def test_in_place_the_youngest_goes_when_all_are_there_and_its_successor_follows_it() -> None:
    three = [old(f"s{n}", created_s=float(n)) for n in range(3)]
    assert in_place_step(three, "new", 3, 0) == Step(delete=("s2",))
    assert in_place_step(three[:2], "new", 3, 1) == Step()
    assert in_place_step(three[:2], "new", 3, 0) == Step(create=1)
    assert in_place_step([*three[:2], new("s2", available=False)], "new", 3, 0) == Step()
    assert in_place_step([*three[:2], new("s2")], "new", 3, 0) == Step(delete=("s1",))
    assert in_place_step([new(f"s{n}") for n in range(3)], "new", 3, 0) == Step()


def test_recreate_deletes_all_and_creates_when_the_last_is_gone() -> None:
    assert recreate_step(FIVE, "new", 5, 0) == Step(delete=tuple(p.uid for p in FIVE))
    assert recreate_step([], "new", 5, 1) == Step()
    assert recreate_step([], "new", 5, 0) == Step(create=5)
