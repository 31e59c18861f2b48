"""Pods that have not reported to a new leader: unknown is not zero."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rollout.fleets import draining, fleet, pod

from tidegate.contract.report import Plan
from tidegate.rollout.memory import Memory
from tidegate.rollout.plan import RECENT_S, Decision, plan, plans_of
from tidegate.rollout.silence import BORN_EMPTY_S, WAIT_S
from tidegate.rollout.snapshot import Pod, Policy, SetAdmit

POLICY = Policy(budget_per_s=50.0)


class Leader:
    """`plan` with the memory of a leader that begins with none."""

    def __init__(self) -> None:
        self.memory = Memory()

    def look(self, now: float, *pods: Pod, replicas: int = 4) -> Decision:
        decision = plan(fleet(*pods, replicas=replicas), POLICY, now, self.memory)
        self.memory = decision.memory
        return decision


def flips(decision: Decision) -> dict[str, bool]:
    return {a.uid: a.admitted for a in decision.actions if isinstance(a, SetAdmit)}


def unheard(full: Pod) -> Pod:
    return replace(full, report=None)


MIDDLE = (
    pod("full", 94, admitted=False),
    pod("open", 60),
    pod("old", 100, "old", admitted=False),
    draining("going", 80),
)
"""In mid-rollout: one new pod is full and closed, another one is being filled."""


def test_a_full_pod_that_has_not_reported_is_not_opened_and_drains_wait() -> None:
    """It was the emptiest of all to a new leader, and grew from 94 streams to 182."""
    leader = Leader()
    for tick in range(int(WAIT_S / 0.25)):
        decision = leader.look(0.25 * tick, unheard(MIDDLE[0]), *MIDDLE[1:])
        assert flips(decision) == {}
        assert plans_of(decision)["going"].plan == Plan("wait", retry_ms=POLICY.retry_ms)
    decision = leader.look(WAIT_S, unheard(MIDDLE[0]), *MIDDLE[1:])
    assert "full" not in flips(decision), "its share is taken to be there: no room"
    drain = plans_of(decision)["going"].plan
    assert drain is not None
    assert drain.kind == "drain", "a sidecar that never reports holds up no rollout"


def test_the_plan_goes_on_as_soon_as_every_pod_has_reported() -> None:
    leader = Leader()
    leader.look(0.0, unheard(MIDDLE[0]), *MIDDLE[1:])
    decision = leader.look(2.0, *MIDDLE)
    assert flips(decision) == {}
    going = plans_of(decision)["going"].plan
    assert going is not None
    assert going.kind == "drain"


def test_a_deadline_is_kept_in_silence() -> None:
    decision = Leader().look(0.0, unheard(MIDDLE[0]), MIDDLE[1], draining("going", 80, left_s=1.0))
    forced = plans_of(decision)["going"].plan
    assert forced is not None
    assert forced.kind == "drain"


def test_an_empty_service_is_filled_in_silence() -> None:
    closed = replace(MIDDLE[1], admitted=False)
    decision = Leader().look(0.0, unheard(MIDDLE[0]), closed, MIDDLE[3])
    assert flips(decision)


def test_a_pod_that_was_seen_starting_is_empty_for_a_while() -> None:
    """Its sidecar may take a moment; after that it would be filled without end."""
    leader = Leader()
    others = (*MIDDLE[1:], MIDDLE[0])
    born = Pod("born", "born", "new", ready=False)
    leader.look(0.0, born, *others)
    ready = replace(born, ready=True, admitted=False)
    assert flips(leader.look(2.0, ready, *others)) == {"born": True}
    leader.look(2.0 + BORN_EMPTY_S - 0.1, ready, *others)
    assert flips(leader.look(2.0 + BORN_EMPTY_S + 0.1, ready, *others)) == {}


def test_a_fleet_of_which_no_pod_reports_is_not_steered() -> None:
    """There is nothing to steer it by; every pod is open, whatever another leader has closed."""
    leader = Leader()
    silent = tuple(unheard(p) for p in MIDDLE)
    assert flips(leader.look(0.0, *silent)) == {}
    assert flips(leader.look(WAIT_S, *silent)) == {"full": True, "old": True}


@pytest.mark.parametrize(("age_s", "evened"), [(60.0, True), (RECENT_S + 60.0, False)])
def test_a_fleet_that_was_left_uneven_by_a_recent_rollout_is_evened_out(
    age_s: float, evened: bool
) -> None:
    """The rollout ended while no operator was there; chance alone explains 1.38 of 100 streams."""
    leader = Leader()
    flipped: dict[str, bool] = {}
    left = {"a": 138, "b": 94, "c": 92, "d": 76}
    for tick in range(120):
        decision = leader.look(0.25 * tick, *(pod(u, n, age_s=age_s) for u, n in left.items()))
        flipped |= flips(decision)
    assert ("a" in flipped) == bool(flipped) == evened
