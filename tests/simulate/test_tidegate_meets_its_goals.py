"""The goals of the simulation, for every seed tried, and that they can be missed."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from kit.reference import heap_s

from tidegate.score.goals import DEMO_GOALS, SIMULATION_GOALS, judge
from tidegate.score.observe import compare
from tidegate.score.scorecard import Run
from tidegate_lab.simulate.run import simulate
from tidegate_lab.simulate.settings import Settings

DEFAULT = Settings()
ALL_AT_ONCE = Settings(
    pods=5,
    clients=500,
    budget_per_s=40.0,
    max_surge=2,
    max_unavailable=1,
    ready_delay_s=3.0,
    grace_s=60.0,
)


def beside_stock(settings: Settings) -> Run:
    """The run with the ratios that need a stock run of the same start."""
    stock = simulate(replace(settings, policy="stock"))
    return compare([stock, simulate(settings)], settings.max_surge, settings.max_unavailable)[1]


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_every_goal_is_met(seed: int) -> None:
    assert judge(beside_stock(replace(DEFAULT, seed=seed)).scorecard, SIMULATION_GOALS) == []


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_pods_deleted_at_once_are_emptied_in_time_and_one_after_the_other(seed: int) -> None:
    """The Deployment's default strategy, 5 pods, 500 clients: what a real cluster must reach."""
    card = beside_stock(replace(ALL_AT_ONCE, seed=seed)).scorecard
    # Nothing simulated answers other than 200 or dies of an answer: there is nothing to measure.
    assert (card.non_200, card.clients_dead) == (None, None)
    goals = [goal for goal in DEMO_GOALS if goal.key not in ("non_200", "clients_dead")]
    assert judge(card, goals) == []
    assert card.peak_over_budget is not None
    assert card.peak_over_budget <= 1.05
    assert card.rollout_over_limit is not None
    assert card.rollout_over_limit <= 1.2, "a real cluster adds its own delays and must meet 1.25"


@pytest.mark.parametrize("min_ready_s", [0.0, 5.0])
def test_returning_after_a_tenth_of_a_second_moves_hardly_more_than_once(
    min_ready_s: float,
) -> None:
    """Surge 1 is the hardest: a pod that gets ready opens by itself beside one that is nearly full.

    Of 16 seeds these are the ones that moved most while the drain went on as if it were alone.
    """
    shape = replace(ALL_AT_ONCE, max_surge=1, max_unavailable=0, min_ready_s=min_ready_s)
    assert shape.retry_ms == 100
    for seed in (6, 7, 8):
        card = simulate(replace(shape, seed=seed)).scorecard
        assert card.offline_p50_ms is not None
        assert card.offline_p50_ms <= 150
        assert card.moves_per_client is not None
        assert card.moves_per_client <= 1.03
        assert card.peak_over_budget is not None
        assert card.peak_over_budget <= 1.0


def test_a_fleet_of_many_small_pods_ends_even() -> None:
    """Each of 49 pods owes the last one a third of a stream: cut one by one, that would be none."""
    moves = 0.0
    for seed in (1, 2):  # one stream is 5 % of a pod: a single run may be off by 2 % of the moves
        card = simulate(replace(DEFAULT, pods=50, clients=1000, seed=seed)).scorecard
        assert card.lost == 0
        assert card.balance_min_over_mean is not None
        assert card.balance_min_over_mean >= 0.85  # within half of the least band, 2 of 20 streams
        assert card.moves_per_client is not None
        moves += card.moves_per_client / 2
    assert moves == pytest.approx(1.0, abs=0.04)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_skewed_start_ends_even(seed: int) -> None:
    card = simulate(replace(DEFAULT, skew=0.4, seed=seed)).scorecard
    assert card.balance_max_over_mean is not None
    assert card.balance_min_over_mean is not None
    assert card.moves_per_client == pytest.approx(1.0, abs=0.02)
    assert card.balance_max_over_mean <= 1.03
    assert card.balance_min_over_mean >= 0.96


def test_strays_cost_little() -> None:
    card = simulate(replace(DEFAULT, strays=0.05)).scorecard
    assert card.balance_max_over_mean is not None
    assert card.balance_min_over_mean is not None
    assert card.balance_max_over_mean <= 1.06
    assert card.balance_min_over_mean >= 0.94


def test_a_planner_that_forgets_everything_at_every_look_still_moves_each_client_once() -> None:
    card = simulate(replace(DEFAULT, forget_every_time=True)).scorecard
    assert card.moves_per_client == pytest.approx(1.0, abs=0.02)
    assert card.failed_connects == card.cut_without_goodbye == card.lost == 0


def test_without_steering_the_goals_are_missed() -> None:
    missed = {
        m.goal.key
        for m in judge(beside_stock(replace(DEFAULT, policy="local")).scorecard, SIMULATION_GOALS)
    }
    assert {"moves_per_client", "balance_max_over_mean", "rollout_over_limit"} <= missed


def test_ten_thousand_clients_take_at_most_four_times_a_plain_heap() -> None:
    """In processor time, the best of three: other work on the machine is not ours."""
    assert DEFAULT.clients == 10_000
    ratios: list[float] = []
    while not ratios or (ratios[-1] > 4.0 and len(ratios) < 3):
        reference_s = heap_s()
        began_s = time.process_time()
        simulate(DEFAULT)
        took_s = time.process_time() - began_s
        ratios.append(2 * took_s / (reference_s + heap_s()))
    assert min(ratios) <= 4.0


def test_the_same_seed_gives_the_same_rollout() -> None:
    small = replace(DEFAULT, clients=500, pods=5, budget_per_s=40.0)
    assert simulate(small) == simulate(small)
    assert simulate(small) != simulate(replace(small, seed=2))


def test_a_grace_too_short_for_the_budget_cuts_nobody() -> None:
    card = simulate(replace(DEFAULT, clients=2000, budget_per_s=10.0, grace_s=20.0)).scorecard
    assert card.cut_without_goodbye == 0
    assert card.lost == 0
    assert card.peak_over_budget is not None
    assert card.peak_over_budget > 1.2
