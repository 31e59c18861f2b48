"""From observations to the scorecard, the document, and the judgement."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tidegate.contract.errors import DocumentError
from tidegate.score.deliveries import Deliveries
from tidegate.score.goals import DEMO_GOALS, SIMULATION_GOALS, Goal, judge, unfairness
from tidegate.score.measures import StreamChange
from tidegate.score.observe import Observations, compare, score
from tidegate.score.scorecard import SCORECARD_KEYS, Run, Scorecard, document

SEEN = Observations(
    pods=2,
    clients=4,
    budget_per_s=1.0,
    started_s=10.0,
    moves=[1, 1, 2, 1],
    arrivals_s=[21.0, 21.5, 30.0, 31.5, 40.0],
    stream_changes=[
        *[StreamChange(1.0, pod, 1) for pod in ("old-1", "old-1", "old-2", "old-2")],
        *[StreamChange(20.0, "old-1", -1)] * 2,
        StreamChange(21.0, "new-1", 1),
        StreamChange(21.5, "old-2", 1),
        *[StreamChange(29.0, "old-2", -1)] * 3,
        *[StreamChange(31.5, "new-2", 1)] * 3,
    ],
    live_pods=["new-1", "new-2"],
    new_pods=["new-1", "new-2"],
    attempts=10,
    offline_s=[1.0, 1.0, 1.0, 2.5],
    calm_latency_p99_s=0.010,
    rollout_latency_p99_s=0.250,
    deliveries=Deliveries(received=90, expected=80, lost=1, duplicated=2),
)

GOOD = Scorecard(
    lost=0,
    duplicated=0,
    cut_without_goodbye=0,
    failed_connects=0,
    non_200=0,
    clients_dead=0,
    moves_per_client=1.0,
    balance_max_over_mean=1.05,
    balance_min_over_mean=0.95,
    peak_over_budget=1.1,
    rollout_over_limit=1.1,
    transient_max_over_mean=1.0,
)


def run(mode: str, scorecard: Scorecard) -> Run:
    return Run(mode, "lab", 5, 1000, 80.0, scorecard)


def test_the_figures_of_a_rollout() -> None:
    card = score(SEEN)
    assert (card.lost, card.duplicated, card.deliveries, card.expected_deliveries) == (1, 2, 90, 80)
    assert card.moves_per_client == 1.25
    assert card.moved_twice_share == 0.25
    assert card.not_on_new_revision == 0
    assert (card.balance_max_over_mean, card.balance_min_over_mean) == (1.5, 0.5)
    assert card.transient_max_over_mean == 1.5
    assert (card.peak_moves_1s, card.peak_over_budget) == (2, 2.0)
    assert card.rollout_s == 19.0
    assert card.attempts_per_move == 2.0
    assert (card.offline_p50_ms, card.offline_p99_ms) == (1000.0, 2500.0)
    assert card.added_latency_p99_ms == pytest.approx(240.0)
    assert card.rollout_over_limit is None
    assert card.failed_connects is None


def test_what_was_not_checked_is_null_and_not_zero() -> None:
    card = score(replace(SEEN, deliveries=Deliveries()))
    assert (card.lost, card.duplicated) == (None, None)
    assert score(replace(SEEN, offline_s=[])).offline_p50_ms is None


def test_a_latency_is_added_to_a_calm_one_or_unknown() -> None:
    assert score(replace(SEEN, calm_latency_p99_s=None)).added_latency_p99_ms is None
    assert score(replace(SEEN, rollout_latency_p99_s=None)).added_latency_p99_ms is None


def test_counts_are_passed_on_each_under_its_name() -> None:
    counts: dict[str, Any] = {
        "bounced": 1,
        "cut_without_goodbye": 2,
        "failed_connects": 3,
        "non_200": 4,
        "clients_dead": 5,
    }
    card = score(replace(SEEN, **counts))
    assert {name: getattr(card, name) for name in counts} == counts


def test_an_old_pod_that_keeps_a_stream_leaves_the_rollout_unfinished() -> None:
    changes = [*SEEN.stream_changes, StreamChange(50.0, "old-1", 1)]
    card = score(replace(SEEN, stream_changes=changes))
    assert card.rollout_s is None
    assert card.not_on_new_revision == 0


def test_the_limit_is_taken_from_the_stock_run() -> None:
    stock, other = run("stock", Scorecard(rollout_s=25.0)), run("tidegate", Scorecard(rollout_s=33))
    compared = compare([stock, other], max_surge=1, max_unavailable=0)
    assert compared[1].scorecard.rollout_over_limit == pytest.approx(33 / 27.5)
    assert compare([other], 1, 0) == (other,)


def test_the_document_has_exactly_the_keys_and_survives_the_journey() -> None:
    text = json.dumps(document([run("tidegate", score(SEEN))]))
    (read,) = json.loads(text)["runs"]
    assert list(read["scorecard"]) == list(SCORECARD_KEYS)
    assert {k: v for k, v in read.items() if k != "scorecard"} == {
        "mode": "tidegate",
        "where": "lab",
        "pods": 5,
        "clients": 1000,
        "budget_per_s": 80.0,
    }
    assert Scorecard.from_json(read["scorecard"]).lost == 1


@pytest.mark.parametrize("change", [{"lost": "0"}, {"lost": True}, {"unknown": 1}])
def test_a_malformed_scorecard_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(DocumentError):
        Scorecard.from_json({**GOOD.to_json(), **change})


@pytest.mark.parametrize("goals", [DEMO_GOALS, SIMULATION_GOALS])
def test_a_good_run_misses_nothing(goals: tuple[Goal, ...]) -> None:
    assert judge(replace(GOOD, balance_max_over_mean=1.02, balance_min_over_mean=0.98), goals) == []


@pytest.mark.parametrize("goal", DEMO_GOALS, ids=str)
def test_each_goal_can_be_missed(goal: Goal) -> None:
    off = goal.bound + (-0.01 if goal.comparison == ">=" else 0.01)
    (miss,) = judge(Scorecard.from_json({**GOOD.to_json(), goal.key: off}), DEMO_GOALS)
    assert (miss.goal, miss.figure) == (goal, off)
    (unmeasured,) = judge(Scorecard.from_json({**GOOD.to_json(), goal.key: None}), DEMO_GOALS)
    assert str(unmeasured).endswith("not measured")


def test_without_stock_the_goals_that_need_it_are_left_out() -> None:
    card = replace(GOOD, rollout_over_limit=None)
    assert judge(card, DEMO_GOALS, with_stock=False) == []
    assert len(judge(card, DEMO_GOALS, with_stock=True)) == 1


def test_a_stock_run_that_hurt_nobody_proves_nothing() -> None:
    assert unfairness([run("stock", Scorecard(peak_over_budget=4.0))]) is None
    assert unfairness([run("stock", Scorecard(peak_over_budget=3.9))]) is not None
    assert "unknown" in str(unfairness([run("stock", Scorecard())]))
    assert unfairness([run("tidegate", Scorecard(peak_over_budget=1.0))]) is None
