"""Several workloads behind one stream Service, and rollouts that wait: who gets how many."""

from __future__ import annotations

from dataclasses import replace

from rollout.fleets import draining, fleet, pod

from tidegate.rollout.memory import Memory
from tidegate.rollout.plan import MOVING_REQUEUE_S, RESTING_REQUEUE_S, Decision, plan, plans_of
from tidegate.rollout.snapshot import Note, Pod, Policy, SetAdmit, Snapshot, Workload

POLICY = Policy(budget_per_s=50.0)
SERVICE = "shop/feed-sse"


def workload(name: str, replicas: int, *pods: Pod, service: str | None = SERVICE) -> Workload:
    found = fleet(*pods, replicas=replicas).workloads[0]
    return replace(found, name=name, revision="new", stream_service=service)


def admits(decision: Decision) -> dict[str, bool]:
    return {a.uid: a.admitted for a in decision.actions if isinstance(a, SetAdmit)}


def kinds(decision: Decision) -> dict[str, str]:
    return {uid: sent.plan.kind for uid, sent in plans_of(decision).items() if sent.plan}


def until_told(snapshot: Snapshot, seconds: float) -> dict[str, str]:
    """What the pods are told within that time, the world staying as it is but for the labels."""
    now, memory, told = 100.0, Memory(), dict[str, str]()
    while now < 100.0 + seconds:
        decision = plan(snapshot, POLICY, now, memory)
        now, memory = now + decision.requeue_after_s, decision.memory
        told |= kinds(decision)
        opened = admits(decision)
        snapshot = Snapshot(
            tuple(
                replace(
                    w,
                    pods=tuple(replace(p, admitted=opened.get(p.uid, p.admitted)) for p in w.pods),
                )
                for w in snapshot.workloads
            )
        )
    return told


def test_a_full_canary_is_closed_while_the_stable_pods_roll() -> None:
    stable = workload(
        "stable", 3, pod("a", 75, "old", admitted=False), draining("b", 75), pod("n", 10)
    )
    canary = workload("canary", 1, pod("c", 76))
    together = plan(Snapshot((stable, canary)), POLICY, 1.0, Memory())
    apart = plan(Snapshot((stable, replace(canary, stream_service=None))), POLICY, 1.0, Memory())
    assert admits(together) == {"c": False}
    assert admits(apart) == {}, "open beside a single pod, it would get every second stream"


def test_a_canary_gets_its_share_when_it_comes() -> None:
    stable = workload("stable", 3, *(pod(uid, 100) for uid in ("a", "b", "c")))
    canary = workload("canary", 1, pod("n", 0))
    assert until_told(Snapshot((stable, canary)), 10.0) == dict.fromkeys("abc", "shed")


def test_a_canary_that_is_taken_away_drains_to_the_stable_pods() -> None:
    stable = workload("stable", 2, pod("a", 75), pod("b", 75))
    gone = workload("canary", 0, draining("c", 75))
    told = kinds(plan(Snapshot((stable, gone)), POLICY, 1.0, Memory()))
    alone = kinds(plan(Snapshot((replace(gone, stream_service=None),)), POLICY, 1.0, Memory()))
    assert told == {"c": "drain"}
    assert alone == {"c": "drain"}, "no pod will ever come that it could wait for"


def test_each_of_them_may_have_a_revision_of_its_own() -> None:
    stable = workload("stable", 2, pod("a", 75), pod("b", 75))
    canary = replace(workload("canary", 1, pod("c", 75, "next")), revision="next")
    assert plan(Snapshot((stable, canary)), POLICY, 1.0, Memory()).actions == ()


def test_one_that_must_not_be_steered_stays_alone() -> None:
    stable = workload("stable", 2, pod("a", 75), pod("b", 75))
    refused = replace(workload("canary", 1, draining("c", 75)), steerable=False, refusal="no label")
    decision = plan(Snapshot((stable, refused)), POLICY, 1.0, Memory())
    assert kinds(decision) == {"c": "wait"}
    assert [a.workload for a in decision.actions if isinstance(a, Note)] == ["canary"]


def test_a_paused_rollout_sends_no_more_than_their_share_to_the_new_pods() -> None:
    """An old pod is evicted while people look at the new one; it has its share already."""
    world = fleet(pod("a", 100, "old"), draining("b", 100), pod("n", 100), replicas=3)
    paused = Snapshot((replace(world.workloads[0], paused=True),))
    assert admits(plan(world, POLICY, 1.0, Memory())) == {"a": False}
    decision = plan(paused, POLICY, 1.0, Memory())
    assert admits(decision) == {"n": False}
    assert kinds(decision) == {"b": "drain"}


def test_a_paused_rollout_is_steered_while_its_new_pods_have_room() -> None:
    world = fleet(pod("a", 100, "old", admitted=False), draining("b", 90), pod("n", 10), replicas=2)
    paused = Snapshot((replace(world.workloads[0], paused=True),))
    assert admits(plan(paused, POLICY, 1.0, Memory())) == {}


def test_a_paused_deployment_that_is_not_rolling_is_scaled_in_as_ever() -> None:
    world = fleet(pod("a", 100), pod("b", 60), draining("c", 40), replicas=2)
    paused = Snapshot((replace(world.workloads[0], paused=True),))
    assert plan(paused, POLICY, 1.0, Memory()).actions == plan(world, POLICY, 1.0, Memory()).actions


def test_pods_without_a_sidecar_behind_the_same_service_count_as_somewhere_to_go() -> None:
    undone = replace(workload("stable", 3, draining("b", 75)), injected=False)
    starting = workload("canary", 1, pod("c", 0, ready=False))
    assert kinds(plan(Snapshot((undone, starting)), POLICY, 1.0, Memory())) == {"b": "drain"}


def test_a_rollout_that_waits_is_looked_at_as_seldom_as_a_fleet_at_rest() -> None:
    world = fleet(pod("a", 100, "old"), pod("b", 100, "old"), pod("n", 100, admitted=False))
    first = plan(world, POLICY, 100.0, Memory())
    later = plan(world, POLICY, 111.0, first.memory)
    assert first.requeue_after_s == MOVING_REQUEUE_S
    assert (later.requeue_after_s, later.actions) == (RESTING_REQUEUE_S, ())
