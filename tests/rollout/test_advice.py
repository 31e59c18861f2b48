"""What the owner of a workload is told to change, and when nothing is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tidegate.contract.report import DEGRADED_BACKPLANE, DEGRADED_BACKPLANE_FULL, Report
from tidegate.rollout.advice import GraceNeed, advise, grace_need
from tidegate.rollout.snapshot import Pod, Policy, Workload

REPORT = Report("p", 1, 100, 100, 0, "ready", 0, 1000.0, "test")
PODS = tuple(Pod(f"p{i}", f"p{i}", "r", True, report=REPORT) for i in range(5))
GOOD = Workload("ns/Deployment/shop", 5, "r", PODS, min_ready_s=5.0, grace_s=30.0)


def reporting(**changes: Any) -> tuple[Pod, ...]:
    return (replace(PODS[0], report=replace(REPORT, **changes)), *PODS[1:])


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, []),
        ({"pods": ()}, []),
        ({"max_surge": 0, "max_unavailable": 1}, ["NoSurge"]),
        ({"max_surge": 0, "max_unavailable": 1, "can_surge": False}, []),
        ({"max_unavailable": 1}, []),
        ({"max_unavailable": 2}, ["ManyUnavailable"]),
        ({"max_surge": 0, "max_unavailable": 5}, ["NoSurge", "ManyUnavailable"]),
        ({"replicas": 40, "max_unavailable": 10}, []),
        ({"replicas": 40, "max_unavailable": 11}, ["ManyUnavailable"]),
        ({"min_ready_s": 0.0}, ["NoMinReadySeconds"]),
        ({"min_ready_s": 0.0, "replicas": 1}, []),
        ({"min_ready_s": 0.0, "replicas": 2}, ["NoMinReadySeconds"]),
        ({"min_ready_s": 1.0, "grace_s": 4.0}, []),
        ({"min_ready_s": 0.0, "max_surge": 0, "max_unavailable": 1, "can_surge": False}, []),
        ({"grace_s": 4.0}, []),
        ({"grace_s": 3.0}, ["GraceTooShort"]),
        ({"grace_s": None}, []),
        ({"grace_s": 11.0, "min_ready_s": 0.0}, ["NoMinReadySeconds", "GraceTooShort"]),
        ({"grace_s": 15.0, "min_ready_s": 0.0}, ["NoMinReadySeconds"]),
        ({"grace_s": 14.0, "min_ready_s": 0.0}, ["NoMinReadySeconds", "GraceTooShort"]),
        ({"pods": reporting(degraded=DEGRADED_BACKPLANE)}, []),
        ({"pods": reporting(degraded=DEGRADED_BACKPLANE_FULL)}, ["BackplaneFull"]),
        (
            {"pods": reporting(degraded=DEGRADED_BACKPLANE, problem="no route")},
            ["BackplaneUnavailable"],
        ),
    ],
    ids=lambda v: str(v)[:60] if isinstance(v, dict) else "",
)
def test_every_advice_has_its_condition(changes: dict[str, Any], reasons: list[str]) -> None:
    found = advise(replace(GOOD, **changes), Policy(budget_per_s=50.0))
    assert [advice.reason for advice in found] == reasons


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_surge": 0}, "set strategy.rollingUpdate.maxSurge to 1 or more"),
        ({"max_unavailable": 3}, "lets 3 of 5 pods go at once"),
        ({"min_ready_s": 0.0}, "set it to 5 or more"),
        (
            {"grace_s": 3.0},
            "terminationGracePeriodSeconds (tidegate.dev/grace-s) to 10 or more",
        ),
        ({"pods": reporting(degraded="backplane-full", problem="raise it")}, "raise it"),
    ],
    ids=["surge", "unavailable", "minReady", "grace", "backplane"],
)
def test_every_advice_names_the_fix(changes: dict[str, Any], words: str) -> None:
    (advice,) = advise(replace(GOOD, **changes), Policy(budget_per_s=50.0))
    assert words in advice.message


def test_a_few_streams_more_do_not_change_the_words() -> None:
    policy, short = Policy(budget_per_s=50.0), replace(GOOD, grace_s=3.0)
    more = replace(short, pods=reporting(streams=103))
    assert advise(short, policy) == advise(more, policy)


def test_a_grace_too_short_is_told_from_reports_alone_with_the_streams_that_fit() -> None:
    """Nothing rolls yet: 5 pods at rest, 1,000 streams each, 20/s, the usual 30 seconds."""
    full = tuple(
        Pod(f"p{i}", f"p{i}", "r", True, report=replace(REPORT, streams=1000)) for i in range(5)
    )
    rests, policy = replace(GOOD, pods=full), Policy(budget_per_s=20.0)
    assert grace_need(rests, policy) == GraceNeed(leaving=1000, fitting=500)
    (advice,) = advise(rests, policy)
    assert advice.reason == "GraceTooShort"
    assert "of about 1000 streams that a rollout lets go together, 500 fit" in advice.message
    assert "(tidegate.dev/grace-s) to 60 or more" in advice.message
    assert advise(replace(rests, grace_s=60.0), policy) == ()


@pytest.mark.parametrize(
    ("policy", "fitting"),
    [
        (Policy(budget_per_s=20.0, reserve_s=10.0), 400),
        (Policy(budget_per_s=20.0, reserve_s=0.0), 560),
        (Policy(budget_per_s=20.0, reserve_s=20.0), 300),
        (Policy(budget_per_s=20.0, window_s=10.0), 200),
        (Policy(budget_per_s=40.0), 1000),
    ],
)
def test_what_fits_is_what_the_policy_leaves_of_the_grace_period(
    policy: Policy, fitting: int
) -> None:
    need = grace_need(replace(GOOD, grace_s=30.0), policy)
    assert need is not None
    assert need.fitting == fitting


def test_the_fullest_pods_that_may_go_together_count() -> None:
    pods = tuple(
        Pod(f"p{n}", f"p{n}", "r", True, report=replace(REPORT, streams=n)) for n in (10, 30, 20)
    )
    for surge, leaving in ((1, 30), (2, 50), (5, 60)):
        need = grace_need(replace(GOOD, pods=pods, max_surge=surge), Policy())
        assert need is not None
        assert need.leaving == leaving
