"""The loop: it acts on what the planner says, survives failing writes, and looks again in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from kit.clocks import Clock
from kit.waiting import until
from operator_shell.fakes import FakeCluster, pod, report

from tidegate.contract.report import Plan
from tidegate.rollout.memory import Memory
from tidegate.rollout.plan import Decision
from tidegate.rollout.snapshot import (
    Action,
    Note,
    Policy,
    SetAdmit,
    SetDeletionCost,
    SetPlan,
    Snapshot,
    Workload,
)
from tidegate_operator.cluster import Scope
from tidegate_operator.meters import Meters
from tidegate_operator.reconcile import MIN_INTERVAL_S, Reconciler, phases
from tidegate_operator.reports import PodPlan, ReportBook

pytestmark = pytest.mark.virtual_time


class Script:
    """A planner that says what it is told to, and remembers what it saw."""

    def __init__(
        self, *actions: Action, requeue_after_s: float = 5.0, report_every_s: float = 0.25
    ) -> None:
        self.actions = actions
        self.report_every_s = report_every_s
        self.requeue_after_s = requeue_after_s
        self.seen: list[Snapshot] = []

    def __call__(self, snapshot: Snapshot, policy: Policy, now: float, memory: Memory) -> Decision:
        self.seen.append(snapshot)
        return Decision(self.actions, self.requeue_after_s, memory, self.report_every_s)


def reconciler(cluster: FakeCluster, planner: Script) -> tuple[Reconciler, ReportBook, Meters]:
    clock, meters = Clock(), Meters()
    book = ReportBook(clock)
    return Reconciler(cluster, book, clock, meters, planner), book, meters


async def looks(script: Script, count: int) -> None:
    await until(lambda: len(script.seen) >= count)


async def test_actions_reach_the_cluster_and_reports_the_planner() -> None:
    cluster = FakeCluster([pod("a"), pod("b")])
    script = Script(SetAdmit("a", False), SetDeletionCost("b", 7), Note("web", "Why", "so", True))
    loop, book, _ = reconciler(cluster, script)
    held = asyncio.create_task(book.answer(report("a", streams=42)))
    await asyncio.sleep(0)
    await loop.look_once()
    assert sorted(cluster.writes) == [("admit", "a", False), ("cost", "b", 7)]
    assert cluster.events == ["Why"]
    seen = {p.uid: p.report for p in script.seen[0].workloads[0].pods}
    assert seen["a"] is not None
    assert seen["a"].streams == 42
    assert seen["b"] is None
    answer = await held
    assert (answer.admitted, answer.plan, answer.report_every_s) == (False, None, 0.25)


async def test_a_plan_is_the_answer_of_its_pod() -> None:
    cluster = FakeCluster([pod("a", ready=False, deleting=True)])
    plan = Plan("drain", rate_per_s=50.0)
    loop, book, _ = reconciler(cluster, Script(SetPlan("a", plan)))
    held = asyncio.create_task(book.answer(report("a", state="draining")))
    await asyncio.sleep(0)
    await loop.look_once()
    assert (await held).plan == plan


async def test_a_failing_write_does_not_stop_the_others() -> None:
    cluster = FakeCluster([pod("a"), pod("b"), pod("c")], failing={"a"})
    loop, _, meters = reconciler(cluster, Script(SetAdmit("a", False), SetAdmit("b", False)))
    await loop.look_once()
    assert [p.admitted for p in cluster.pods] == [True, False, True]
    errors = meters.registry.get_sample_value(
        "tidegate_operator_action_errors_total", {"kind": "SetAdmit"}
    )
    assert errors == 1


async def test_what_the_planner_says_once_is_done_even_if_the_first_write_fails() -> None:
    """A cost and a note: the planner takes them for written, and does not repeat them."""
    cluster = FakeCluster([pod("a"), pod("b")], failing={"a", "web"})
    script = Script(SetDeletionCost("a", 7), Note("web", "SteeringRefused", "headless"))
    loop, _, _ = reconciler(cluster, script)
    await loop.look_once()
    assert cluster.events == []
    script.actions = ()
    cluster.failing.clear()
    await loop.look_once()
    assert cluster.writes[-1] == ("cost", "a", 7)
    assert cluster.events == ["SteeringRefused"]
    written = len(cluster.writes)
    await loop.look_once()
    assert len(cluster.writes) == written


async def test_what_is_owed_to_a_pod_that_has_gone_is_forgotten() -> None:
    cluster = FakeCluster([pod("a"), pod("b")], failing={"a"})
    script = Script(SetDeletionCost("a", 7))
    loop, _, _ = reconciler(cluster, script)
    await loop.look_once()
    script.actions, cluster.pods = (), cluster.pods[1:]
    await loop.look_once()
    assert cluster.writes == [("cost", "a", 7)]


async def test_the_loop_goes_on_and_a_report_brings_the_next_look_forward() -> None:
    cluster = FakeCluster([pod("a")])
    script = Script(requeue_after_s=3600.0)
    loop, book, _ = reconciler(cluster, script)
    running = asyncio.create_task(loop.run())
    try:
        await looks(script, 1)
        held = asyncio.create_task(book.answer(report("a")))
        await looks(script, 2)
        await held
        before = len(script.seen)
        loop.nudge()
        await looks(script, before + 1)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_it_ends_even_when_a_nudge_comes_with_the_end() -> None:
    script = Script(requeue_after_s=3600.0)
    loop, _, _ = reconciler(FakeCluster([pod("a")]), script)
    running = asyncio.create_task(loop.run())
    await looks(script, 1)
    await asyncio.sleep(2 * MIN_INTERVAL_S)
    loop.nudge()
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait((running,), timeout=2.0)
    assert running.cancelled()


@pytest.mark.parametrize(
    ("every_s", "says", "looks_again"),
    [
        (0.25, {"streams": 11}, True),
        (15.0, {"streams": 11}, False),
        (15.0, {"state": "draining"}, True),
        (15.0, {"degraded": "backplane"}, True),
    ],
    ids=["streams move", "at rest", "a drain begins", "degraded"],
)
async def test_at_rest_new_counts_alone_bring_no_look(
    every_s: float, says: dict[str, Any], looks_again: bool
) -> None:
    script = Script(requeue_after_s=3600.0, report_every_s=every_s)
    loop, book, _ = reconciler(FakeCluster([pod("a")]), script)
    book.close()
    running = asyncio.create_task(loop.run())
    try:
        await looks(script, 1)
        await book.answer(report("a"))
        await looks(script, 2)
        await asyncio.sleep(2 * MIN_INTERVAL_S)
        before = len(script.seen)
        await book.answer(report("a", 2, **says))
        await asyncio.sleep(2 * MIN_INTERVAL_S)
        assert (len(script.seen) > before) == looks_again
        loop.nudge()
        await looks(script, before + 1)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_looks_keep_a_least_distance() -> None:
    script = Script(requeue_after_s=0.0)
    loop, _, _ = reconciler(FakeCluster([pod("a")]), script)
    began_s = asyncio.get_running_loop().time()
    running = asyncio.create_task(loop.run())
    await looks(script, 4)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert asyncio.get_running_loop().time() - began_s >= 0.29


async def test_the_real_planner_is_idle_on_a_fleet_at_rest_and_acts_in_a_rollout() -> None:
    cluster = FakeCluster([pod("a", "old"), pod("b", "old")], revision="old")
    clock = Clock()
    book = ReportBook(clock)
    book.close()
    loop = Reconciler(cluster, book, clock, Meters())
    for uid in ("a", "b"):
        await book.answer(report(uid))
    await loop.look_once()
    assert [write for write in cluster.writes if write[0] == "admit"] == []
    cluster.revision = "new"
    cluster.pods.append(pod("c", available=False))
    await book.answer(report("c", streams=0))
    for _ in range(4):
        clock.now += 1.5
        await loop.look_once()
    assert {p.uid: p.admitted for p in cluster.pods} == {"a": True, "b": False, "c": True}
    cluster.pods[2] = pod("c")
    clock.now += 1.5
    await loop.look_once()
    assert {p.uid: p.admitted for p in cluster.pods} == {"a": False, "b": False, "c": True}


def snapshot(*pods: object) -> Snapshot:
    return Snapshot((Workload("web", 2, "new", tuple(pods)),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("build", "phase_count"),
    [
        (lambda: snapshot(pod("a"), pod("b"), pod("c", admitted=False)), 1),
        (lambda: snapshot(pod("a"), pod("c", admitted=False)), 2),
    ],
    ids=["one stays open", "none would stay open"],
)
def test_the_service_is_never_empty_between_two_writes(
    build: Callable[[], Snapshot], phase_count: int
) -> None:
    actions: list[Action] = [SetAdmit("a", False), SetAdmit("c", True)]
    written = phases(build(), actions)
    assert len(written) == phase_count
    assert sorted(str(a) for phase in written for a in phase) == sorted(map(str, actions))
    assert SetAdmit("c", True) in written[0]


class TwoTenants(FakeCluster):
    """The scope of the fake, and one of a tenant whose objects break the planner."""

    def snapshots(self) -> Sequence[Scope]:
        broken = Workload("broken", 1, "new", (pod("z"),))
        return [Scope("broken", Policy(), Snapshot((broken,))), *super().snapshots()]


class Breaking(Script):
    """Plans every scope but the broken one."""

    def __call__(self, snapshot: Snapshot, policy: Policy, now: float, memory: Memory) -> Decision:
        if snapshot.workloads[0].name == "broken":
            raise OverflowError("int too large to convert to float")
        return super().__call__(snapshot, policy, now, memory)


async def test_a_scope_that_cannot_be_planned_is_skipped_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is counted at every look; told in the log and by an Event once."""
    cluster = TwoTenants([pod("a", admitted=False)])
    loop, _, meters = reconciler(cluster, Breaking(SetAdmit("a", True)))
    for _ in range(3):
        await loop.look_once()
    assert cluster.writes.count(("admit", "a", True)) == 3
    assert cluster.events == ["PlanFailed"]
    count = meters.registry.get_sample_value(
        "tidegate_operator_failures_total", {"part": "planning"}
    )
    assert count == 3
    logged = [record for record in caplog.records if record.name == "tidegate.bulkhead"]
    assert len(logged) == 1
    assert logged[0].exc_info is not None


async def test_a_write_that_fails_in_an_unforeseen_way_does_not_end_the_loop() -> None:
    class Odd(FakeCluster):
        async def set_admit(self, uid: str, admitted: bool) -> None:
            raise UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates not allowed")

    loop, _, meters = reconciler(Odd([pod("a")]), Script(SetAdmit("a", True)))
    assert await loop.look_once() == 5.0
    errors = meters.registry.get_sample_value(
        "tidegate_operator_failures_total", {"part": "writing"}
    )
    assert errors == 1


async def test_reports_from_before_a_stall_are_not_taken_for_the_present() -> None:
    """The process was stopped for less than its Lease lasts: streams have moved meanwhile."""
    clock, script = Clock(), Script(requeue_after_s=0.1)
    book = ReportBook(clock, hold_s=60.0)
    loop = Reconciler(FakeCluster([pod("a")]), book, clock, Meters(), script)
    book.decide("a", PodPlan())
    first = asyncio.create_task(book.answer(report("a")))
    await asyncio.sleep(0)
    await loop.look_once()
    await first
    held = asyncio.create_task(book.answer(report("a", 2)))
    await asyncio.sleep(0)
    clock.now += 1.0
    await loop.look_once()
    assert script.seen[-1].workloads[0].pods[0].report is not None
    clock.now += 6.0
    await loop.look_once()
    assert script.seen[-1].workloads[0].pods[0].report is None
    await asyncio.wait_for(held, 1.0)
    again = asyncio.create_task(book.answer(report("a", 3, streams=50)))
    await asyncio.sleep(0)
    clock.now += 0.1
    await loop.look_once()
    seen = script.seen[-1].workloads[0].pods[0].report
    assert seen is not None
    assert seen.streams == 50
    again.cancel()
