"""When a plan is sent again: a pod that already does what it asks gets it once a second."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidegate.contract.report import Plan
from tidegate.rollout.pacing import worth_sending

DRAIN = Plan("drain", rate_per_s=40.0)
COUNTED = replace(DRAIN, count=100)
LATER = replace(DRAIN, start_in_s=2.0)


@pytest.mark.parametrize(
    ("new", "sent", "sends"),
    [
        (None, None, False),
        (DRAIN, None, True),
        (None, DRAIN, True),
        (DRAIN, DRAIN, False),
        (Plan("wait"), DRAIN, True),
        (Plan("wait", rate_per_s=9.0, start_in_s=9.0), Plan("wait"), False),
    ],
    ids=["none", "first", "taken back", "the same", "another kind", "what a wait does not say"],
)
def test_a_plan_is_sent_when_it_asks_for_something_else(
    new: Plan | None, sent: Plan | None, sends: bool
) -> None:
    assert worth_sending(new, sent, 0.5) == sends


@pytest.mark.parametrize("plan", [DRAIN, COUNTED, LATER, Plan("wait")], ids=lambda plan: plan.kind)
def test_the_same_plan_is_renewed_once_a_second(plan: Plan) -> None:
    assert not worth_sending(plan, plan, 0.0)
    assert worth_sending(plan, plan, 1.0)


@pytest.mark.parametrize(
    ("rate_per_s", "sends"), [(39.6, False), (44.0, False), (39.5, True), (44.1, True)]
)
def test_a_rate_counts_as_changed_when_it_falls_or_is_a_tenth_higher(
    rate_per_s: float, sends: bool
) -> None:
    assert worth_sending(replace(DRAIN, rate_per_s=rate_per_s), DRAIN, 0.5) == sends


@pytest.mark.parametrize(
    ("sent_in_s", "new_in_s", "sends"),
    [
        (2.0, 1.5, False),
        (2.0, 1.625, False),
        (2.0, 1.7, True),
        (2.0, 1.375, False),
        (2.0, 1.3, True),
        (1.0, 0.1, True),
        (0.0, 0.0, False),
        (0.5, 0.15, False),
        (0.0, 0.2, True),
        (0.0, 1.5, True),
    ],
    ids=[
        "as expected", "a little later", "later", "a little sooner", "sooner",
        "at once instead", "under way", "just begun", "put off a little", "put off",
    ],
)  # fmt: skip
def test_a_start_is_compared_with_what_is_left_of_the_one_sent(
    sent_in_s: float, new_in_s: float, sends: bool
) -> None:
    """Half a second ago; once under way, a start at once is the same."""
    new, sent = replace(DRAIN, start_in_s=new_in_s), replace(DRAIN, start_in_s=sent_in_s)
    assert worth_sending(new, sent, 0.5) == sends


@pytest.mark.parametrize(
    ("sent_count", "sent_in_s", "new_count", "sends"),
    [
        (None, 0.0, 100, True),
        (100, 0.0, None, True),
        (100, 0.0, 90, False),
        (100, 0.0, 91, True),
        (100, 0.0, 70, False),
        (100, 0.0, 69, True),
        (100, 0.25, 100, False),
        (100, 0.25, 101, True),
        (100, 0.625, 110, False),
        (100, 0.625, 90, False),
        (100, 0.625, 111, True),
        (25, 0.0, 7, False),
        (22, 0.0, 5, True),
        (15, 0.25, 7, False),
        (15, 0.25, 8, True),
    ],
)
def test_a_count_is_compared_with_what_is_left_of_the_one_sent(
    sent_count: int | None, sent_in_s: float, new_count: int | None, sends: bool
) -> None:
    """At 40 a second, half a second ago; a tenth of the count, or two streams, are no change."""
    sent = replace(DRAIN, start_in_s=sent_in_s, count=sent_count)
    new = replace(DRAIN, start_in_s=max(0.0, sent_in_s - 0.5), count=new_count)
    assert worth_sending(new, sent, 0.5) == sends
