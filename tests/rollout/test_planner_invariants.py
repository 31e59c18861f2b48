"""Whatever the fleet looks like, and whether or not the planner remembers anything."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rollout.fleets import pod

from tidegate.contract.report import POD_STATES, Report
from tidegate.rollout.fleet import left_s, sort_out
from tidegate.rollout.joining import joined
from tidegate.rollout.memory import Memory, WorkloadMemory, infer_loads
from tidegate.rollout.pacing import Job, urgency
from tidegate.rollout.plan import Decision, plan, plans_of
from tidegate.rollout.rebalance import band, excess
from tidegate.rollout.snapshot import Pod, Policy, SetAdmit, Snapshot, Workload

reports = st.builds(
    Report,
    uid=st.just("uid"),
    seq=st.integers(1, 9),
    streams=st.integers(0, 500),
    arrived_total=st.integers(0, 500),
    ended_total=st.integers(0, 500),
    state=st.sampled_from(POD_STATES),
    plan_seq=st.integers(0, 9),
    rate_limit_per_s=st.sampled_from([0.0, 20.0, 1000.0]),
    version=st.just("test"),
    drain_started_s=st.none() | st.floats(0, 60),
    deadline_in_s=st.none() | st.floats(0, 120),
)
pods = st.builds(
    Pod,
    uid=st.just("uid"),
    name=st.just("name"),
    revision=st.sampled_from(["old", "new", "older"]),
    ready=st.booleans(),
    deleting=st.booleans(),
    available=st.booleans(),
    admitted=st.booleans(),
    deletion_cost=st.none() | st.integers(-5, 600),
    deadline_in_s=st.none() | st.floats(0, 120),
    report=st.none() | reports,
    report_age_s=st.floats(0, 20),
)


def named(workload: Workload, index: int) -> Workload:
    """The workload under a name of its own, each pod with a uid of its own."""
    own = tuple(replace(p, uid=f"{index}-{i}") for i, p in enumerate(workload.pods))
    return replace(workload, name=f"w{index}", pods=own)


workloads = st.builds(
    Workload,
    name=st.just("w"),
    replicas=st.integers(0, 6),
    revision=st.sampled_from(["old", "new"]),
    pods=st.lists(pods, max_size=7).map(tuple),
    paused=st.booleans(),
    steerable=st.booleans(),
    stream_service=st.sampled_from([None, "shared"]),
)
snapshots = st.lists(workloads, max_size=3).map(
    lambda ws: Snapshot(tuple(named(w, i) for i, w in enumerate(ws)))
)
policies = st.builds(
    Policy,
    budget_per_s=st.sampled_from([1.0, 50.0, 1000.0]),
    steering=st.booleans(),
    rebalance=st.booleans(),
)
looks = st.lists(st.tuples(snapshots, st.floats(0.05, 30)), min_size=1, max_size=5)


def leaving(snapshot: Snapshot, memory: Memory, policy: Policy, now: float) -> list[Job]:
    """Every pod with streams to let go, and how long it has."""
    jobs = []
    for workload in joined(snapshot.workloads):
        remembered = memory.workloads.get(workload.name, WorkloadMemory())
        loads, _ = infer_loads(workload.pods, remembered, now, policy.retry_ms / 1000)
        jobs += [Job(p.uid, n, left_s(p)) for p, n in sort_out(workload, loads).leaving()]
    return jobs


def open_after(workload: Workload, decision: Decision) -> set[str]:
    """The pods that are open once the decision's labels are written."""
    admitted = {p.uid: p.admitted for p in workload.pods}
    admitted |= {a.uid: a.admitted for a in decision.actions if isinstance(a, SetAdmit)}
    return {p.uid for p in workload.pods if p.ready and not p.deleting and admitted[p.uid]}


@pytest.mark.parametrize("remembers", [True, False], ids=["with memory", "memory dropped"])
@given(looks=looks, policy=policies)
def test_some_pod_is_open_as_long_as_a_staying_one_is_ready(
    remembers: bool, looks: list[tuple[Snapshot, float]], policy: Policy
) -> None:
    memory, now = Memory(), 1000.0
    for snapshot, wait_s in looks:
        now += wait_s
        decision = plan(snapshot, policy, now, memory if remembers else Memory())
        memory = decision.memory
        for workload in joined(snapshot.workloads):
            staying = [
                p
                for p in workload.pods
                if p.ready
                and not p.deleting
                and (p.report is None or p.report.state in ("starting", "ready"))
            ]
            assert open_after(workload, decision) or not staying


@pytest.mark.parametrize("remembers", [True, False], ids=["with memory", "memory dropped"])
@given(looks=looks, policy=policies)
def test_the_rates_stay_within_the_budget_unless_deadlines_ask_for_more(
    remembers: bool, looks: list[tuple[Snapshot, float]], policy: Policy
) -> None:
    memory, now = Memory(), 1000.0
    for snapshot, wait_s in looks:
        now += wait_s
        before = memory if remembers else Memory()
        decision = plan(snapshot, policy, now, before)
        memory = decision.memory
        told = plans_of(decision)
        fastest = [
            max(
                (
                    sent.rate_per_s
                    for p in w.pods
                    if p.uid in told and (sent := told[p.uid].plan) and sent.kind != "wait"
                ),
                default=0.0,
            )
            for w in joined(snapshot.workloads)
        ]
        asked, _ = urgency(leaving(snapshot, before, policy, now))
        assert sum(fastest) <= max(policy.budget_per_s, asked) * (1 + 1e-9)


def even_fleet(name: str, streams: list[int]) -> Workload:
    """All on the desired revision, open, with a deletion cost that fits."""
    own = tuple(pod(f"{name}-{i}", n) for i, n in enumerate(streams))
    return Workload(name, len(own), "new", own)


@st.composite
def even_loads(draw: st.DrawFn) -> list[int]:
    """Streams of the pods of a fleet that differ by no more than chance would make them."""
    mean = draw(st.integers(0, 2000))
    off = math.floor(band(mean, disturbed=False))
    near = st.integers(max(0, mean - off), mean + off)
    loads = draw(st.lists(near, min_size=1, max_size=6))
    target = sum(loads) / len(loads)
    assume(excess(loads, target) <= band(target, disturbed=False))
    return loads


@pytest.mark.parametrize("remembers", [True, False], ids=["with memory", "memory dropped"])
@given(
    fleets=st.lists(even_loads(), min_size=1, max_size=3),
    policy=policies,
    every_s=st.floats(0.5, 5.0),
)
def test_nothing_is_done_while_the_world_is_as_desired(
    remembers: bool, fleets: list[list[int]], policy: Policy, every_s: float
) -> None:
    snapshot = Snapshot(tuple(even_fleet(f"w{i}", loads) for i, loads in enumerate(fleets)))
    memory, now = Memory(), 1000.0
    while now <= 1020.0:
        decision = plan(snapshot, policy, now, memory if remembers else Memory())
        assert decision.actions == ()
        memory, now = decision.memory, now + every_s


@given(snapshot=snapshots, policy=policies)
def test_the_same_input_gives_the_same_output(snapshot: Snapshot, policy: Policy) -> None:
    assert plan(snapshot, policy, 5.0, Memory()) == plan(snapshot, policy, 5.0, Memory())


@given(
    streams=st.lists(st.integers(1, 500), min_size=1, max_size=6),
    left=st.lists(st.floats(1, 120), min_size=6, max_size=6),
)
def test_the_urgent_rate_is_the_least_that_meets_every_deadline(
    streams: list[int], left: list[float]
) -> None:
    jobs = [Job(str(i), n, left[i]) for i, n in enumerate(streams)]
    rate, critical = urgency(jobs)

    def late(rate_per_s: float) -> bool:
        done = 0.0
        for n, due_s in sorted(zip(streams, left, strict=False), key=lambda job: job[1]):
            done += n / rate_per_s
            if done > due_s + 1e-6:
                return True
        return False

    assert critical
    assert not late(rate)
    assert late(rate * 0.99)
