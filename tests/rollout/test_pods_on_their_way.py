"""How long a pod has until it must be empty, and when one is only an object any more."""

from __future__ import annotations

from typing import Any

import pytest
from rollout.fleets import pod, report

from tidegate.rollout.fleet import LOST_AFTER_S, is_lost, left_s
from tidegate.rollout.pacing import Job, urgency


@pytest.mark.parametrize(
    ("reported_s", "age_s", "api_s", "expected"),
    [
        (None, 3.0, None, None),
        (40.0, 3.0, None, 37.0),
        (None, 3.0, 40.0, 38.0),
        (40.0, 1.0, 40.0, 38.0),
        (40.0, 3.0, 40.0, 37.0),
        (2.0, 3.0, None, 0.0),
    ],
    ids=["unknown", "a report ages", "the API's is the kill", "API", "report", "past"],
)
def test_a_pod_has_the_nearer_of_its_reports_and_the_APIs_deadline(
    reported_s: float | None, age_s: float, api_s: float | None, expected: float | None
) -> None:
    seen = report("a", 10, "draining", deadline_in_s=reported_s)
    assert left_s(pod("a", 10, report=seen, report_age_s=age_s, deadline_in_s=api_s)) == expected


def test_a_pod_that_never_reported_has_the_APIs_deadline() -> None:
    assert left_s(pod("a", 10, report=None, deadline_in_s=12.0)) == 10.0


@pytest.mark.parametrize(
    ("seen", "lost"),
    [
        ({"ready": True, "report_age_s": 2 * LOST_AFTER_S}, False),
        ({"report_age_s": LOST_AFTER_S}, False),
        ({"report_age_s": LOST_AFTER_S + 0.1}, True),
        ({"report": None, "deleting": True, "deadline_in_s": 0.0}, True),
        ({"report": None, "deleting": True, "deadline_in_s": 0.1}, False),
        ({"report": None, "deleting": True}, False),
        ({"report": None, "deadline_in_s": 0.0}, False),
    ],
    ids=[
        "ready", "silent, not long", "silent for long", "no report, killed", "no report, dying",
        "no report, no deadline", "no report, stays",
    ],
)  # fmt: skip
def test_a_pod_is_lost_when_it_is_unready_and_its_sidecar_silent_for_two_holds(
    seen: dict[str, Any], lost: bool
) -> None:
    assert is_lost(pod("a", 10, **({"ready": False} | seen))) == lost


@pytest.mark.parametrize(
    ("jobs", "rate_per_s", "critical"),
    [
        ([], 0.0, set()),
        ([("a", 10, 5.0)], 2.0, {"a"}),
        ([("a", 10, None)], 0.0, set()),
        ([("a", 10, 5.0), ("b", 30, 10.0)], 4.0, {"a", "b"}),
        ([("b", 10, 10.0), ("a", 10, 5.0)], 2.0, {"a"}),
        ([("a", 10, None), ("b", 10, 5.0)], 2.0, {"b"}),
        ([("a", 10, 0.0)], 20.0, {"a"}),
        ([("a", 10, 2.0)], 5.0, {"a"}),
    ],
    ids=[
        "none", "one", "a shed is never urgent", "together", "equal: the first alone",
        "a shed comes last", "past its deadline", "two seconds",
    ],
)  # fmt: skip
def test_the_least_rate_that_meets_all_deadlines_and_the_pods_that_ask_for_it(
    jobs: list[tuple[str, float, float | None]], rate_per_s: float, critical: set[str]
) -> None:
    least_per_s, asking = urgency([Job(uid, n, left) for uid, n, left in jobs])
    assert least_per_s == pytest.approx(rate_per_s)
    assert asking == critical
