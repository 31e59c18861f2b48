"""The reconcile loop: read the cluster, plan, act, repeat.

It has no logic per event. A changed pod, a changed report, and while streams move every report,
only bring the next reconcile forward; the actions come from `plan`, which sees the whole scope each
time. A scope that cannot be planned is skipped, and only that one: its pods go on by their own
plans. New counts of a fleet at rest wait for the next look, so that the reports of a thousand pods
cost no thousand looks. What fails is logged, counted and seen again by the next look.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tidegate.contract.errors import ClusterError
from tidegate.contract.report import RESTING_REPORT_S
from tidegate.rollout.memory import Memory
from tidegate.rollout.plan import Decision, holds, plan, refusals
from tidegate.rollout.snapshot import (
    Action,
    Note,
    Pod,
    Policy,
    SetAdmit,
    SetDeletionCost,
    SetPlan,
    Snapshot,
    Workload,
)
from tidegate_operator.bulkhead import Bulkhead
from tidegate_operator.cluster import Cluster, Scope
from tidegate_operator.meters import Meters
from tidegate_operator.reports import PodPlan, ReportBook

MIN_INTERVAL_S = 0.1
"""At most ten looks a second, however many reports arrive."""

ACTION_TIMEOUT_S = 2.0
"""A write that takes longer is given up: a hanging one must not stop the steering."""

STALLED_S = 2.0
"""A look that is late by more than this was held up with all else in the process: reports are
waiting to be read, and those that were read before are not the last ones."""

PLAN_FAILED = "PlanFailed"

Target = tuple[str, str, str]
Planner = Callable[[Snapshot, Policy, float, Memory], Decision]
log = logging.getLogger("tidegate.reconcile")


class Reconciler:
    """Runs the planner over every scope of a cluster. `clock` gives monotonic seconds."""

    def __init__(
        self,
        cluster: Cluster,
        book: ReportBook,
        clock: Callable[[], float],
        meters: Meters,
        planner: Planner = plan,
    ) -> None:
        self._cluster = cluster
        self._book = book
        self._clock = clock
        self._meters = meters
        self._planner = planner
        self._memories: dict[str, Memory] = {}
        self._owed: dict[Target, Action] = {}
        self._steered: dict[str, str] = {}
        self._bulkhead = Bulkhead(clock, meters.failures)
        self._nudged = asyncio.Event()
        self._moving = True
        self._due_s = math.inf
        self._awake_since_s = -math.inf
        book.on_report = self._reported

    def _reported(self, turned: bool) -> None:
        if turned or self._moving:
            self.nudge()

    @property
    def refusals(self) -> Mapping[str, str]:
        """Workloads that the planner itself refuses to steer, and why."""
        found = [refusals(memory) for memory in self._memories.values()]
        return {name: reason for refused in found for name, reason in refused.items()}

    @property
    def holds(self) -> Mapping[str, str]:
        """Workloads whose drains have been held for some seconds, and why."""
        found = [holds(memory, self._clock()) for memory in self._memories.values()]
        return {name: reason for held in found for name, reason in held.items()}

    def nudge(self) -> None:
        """Something has changed: look again as soon as the minimum interval allows."""
        self._nudged.set()

    async def run(self) -> None:
        """Look, act and wait, until cancelled."""
        while True:
            self._nudged.clear()
            requeue_after_s = await self.look_once()
            await asyncio.sleep(MIN_INTERVAL_S)
            rest_s = requeue_after_s - MIN_INTERVAL_S
            if rest_s <= 0 or self._nudged.is_set():
                continue
            # Not wait_for: on Python 3.11 it swallows a cancellation that meets the nudge.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(rest_s):
                    await self._nudged.wait()

    async def look_once(self) -> float:
        """Plan every scope once and act on it; returns when to look again, in seconds."""
        if self._clock() - self._due_s > STALLED_S:
            self._awake_since_s = self._clock()
            self._book.recall()
        scopes = [self._with_reports(scope) for scope in self._cluster.snapshots()]
        self._forget_the_gone(scopes)
        requeue_after_s = report_every_s = RESTING_REPORT_S
        work = []
        for scope in scopes:
            decision, notes = self._planned(scope)
            actions = self._with_the_owed(scope.snapshot, notes)
            if decision is not None:
                requeue_after_s = min(requeue_after_s, decision.requeue_after_s)
                report_every_s = min(report_every_s, decision.report_every_s)
                actions = self._with_the_owed(scope.snapshot, decision.actions)
            work.append(self._execute(scope, actions))
        self._moving = report_every_s < RESTING_REPORT_S
        await asyncio.gather(*work)
        self._due_s = self._clock() + requeue_after_s
        return requeue_after_s

    def _planned(self, scope: Scope) -> tuple[Decision | None, list[Action]]:
        """The scope's decision, sent to its pods; ``None`` and what to note where that failed.

        The memory of a scope that fails is dropped, for it may be the reason.
        """
        notes: list[Action] = []

        def note(problem: str) -> None:
            notes.extend(Note(w.name, PLAN_FAILED, problem, True) for w in scope.snapshot.workloads)

        memory = self._memories.pop(scope.name, Memory())
        with self._bulkhead.holds("planning", scope.name, note):
            with self._meters.plan_seconds.time():
                decision = self._planner(scope.snapshot, scope.policy, self._clock(), memory)
            self._set_decisions(scope, decision)
            self._memories[scope.name] = decision.memory
            return decision, []
        return None, notes

    def _with_reports(self, scope: Scope) -> Scope:
        def with_report(pod: Pod) -> Pod:
            known = self._book.latest(pod.uid)
            if known is None or known[1] > awake_s:
                return pod
            return replace(pod, report=known[0], report_age_s=known[1])

        awake_s = self._clock() - self._awake_since_s

        workloads = tuple(
            replace(workload, pods=tuple(with_report(pod) for pod in workload.pods))
            for workload in scope.snapshot.workloads
        )
        return replace(scope, snapshot=Snapshot(workloads))

    def _forget_the_gone(self, scopes: Sequence[Scope]) -> None:
        names = {scope.name for scope in scopes}
        uids = {pod.uid for scope in scopes for pod in pods_of(scope.snapshot)}
        self._book.keep_only(uids)
        self._memories = {name: kept for name, kept in self._memories.items() if name in names}
        workloads = {w.name for scope in scopes for w in scope.snapshot.workloads}
        self._steered = {name: line for name, line in self._steered.items() if name in workloads}
        self._owed = {
            target: action for target, action in self._owed.items() if target[1] in uids | workloads
        }

    def _set_decisions(self, scope: Scope, decision: Decision) -> None:
        """Put the decision for every pod into the report book, where its request waits."""
        admitted = {a.uid: a.admitted for a in decision.actions if isinstance(a, SetAdmit)}
        plans = {a.uid: a.plan for a in decision.actions if isinstance(a, SetPlan)}
        for pod in pods_of(scope.snapshot):
            wanted = PodPlan(
                admitted.get(pod.uid, pod.admitted), plans.get(pod.uid), decision.report_every_s
            )
            self._book.decide(pod.uid, wanted)

    def _with_the_owed(self, snapshot: Snapshot, actions: Sequence[Action]) -> list[Action]:
        """The planner's actions, and those that failed before and that it does not repeat."""
        there = {w.name for w in snapshot.workloads} | {p.uid for p in pods_of(snapshot)}
        said = {target_of(action) for action in actions}
        owed = [a for t, a in self._owed.items() if t[1] in there and t not in said]
        return [*actions, *owed]

    async def _execute(self, scope: Scope, actions: Sequence[Action]) -> None:
        with self._bulkhead.holds("writing", scope.name):
            for phase in phases(scope.snapshot, actions):
                await asyncio.gather(*[self._execute_one(action) for action in phase])
            self._log_steering(scope.snapshot, actions)

    def _log_steering(self, snapshot: Snapshot, actions: Sequence[Action]) -> None:
        """Once per change: the planner repeats a label until the API shows it."""
        for workload in snapshot.workloads:
            line = steered(workload, actions)
            if line and line != self._steered.get(workload.name):
                log.info("%s: %s", workload.name, line)
                self._steered[workload.name] = line

    async def _execute_one(self, action: Action) -> None:
        write = self._write(action)
        if write is None:
            return
        kind, target = type(action).__name__, target_of(action)
        try:
            async with asyncio.timeout(ACTION_TIMEOUT_S):
                await write
        except (ClusterError, TimeoutError) as error:
            self._meters.action_errors.labels(kind=kind).inc()
            log.warning("%s failed: %s", action, error or "timed out")
            if target is not None:
                self._owed[target] = action
        else:
            if target is not None:
                self._owed.pop(target, None)
            self._meters.actions.labels(kind=kind).inc()

    def _write(self, action: Action) -> Coroutine[Any, Any, None] | None:
        match action:
            case SetAdmit(uid, admitted):
                return self._cluster.set_admit(uid, admitted)
            case SetDeletionCost(uid, cost):
                return self._cluster.set_deletion_cost(uid, cost)
            case Note(workload, reason, message, warning):
                log.log(
                    logging.WARNING if warning else logging.INFO,
                    "%s: %s: %s",
                    workload,
                    reason,
                    message,
                )
                return self._cluster.event(workload, reason, message, warning)
        return None  # SetPlan goes through the report book


def steered(workload: Workload, actions: Sequence[Action]) -> str:
    """The pods of a workload that get another label, for a log line; empty where none does."""
    wanted = {a.uid: a.admitted for a in actions if isinstance(a, SetAdmit)}
    opened = [p.name for p in workload.pods if wanted.get(p.uid) is True]
    closed = [p.name for p in workload.pods if wanted.get(p.uid) is False]
    parts = (("opened", opened), ("closed", closed))
    return "; ".join(f"{word} {', '.join(names)}" for word, names in parts if names)


def target_of(action: Action) -> Target | None:
    """The subject of an action that the planner emits only once: if it fails it is owed.

    A label that does not stick is asked for again by the next look; costs and notes are not.
    """
    match action:
        case SetDeletionCost(uid, _):
            return "cost", uid, ""
        case Note(workload, reason, _, _):
            return "note", workload, reason
    return None


def pods_of(snapshot: Snapshot) -> list[Pod]:
    """Every pod of every workload."""
    return [pod for workload in snapshot.workloads for pod in workload.pods]


def phases(snapshot: Snapshot, actions: Sequence[Action]) -> list[list[Action]]:
    """What may be written at once, in order.

    Everything is concurrent (stragglers of a batch wait for the next sync of kube-proxy), except
    where no open pod stays open: then the new ones are opened before the old ones are closed, so
    that the Service is never empty.
    """
    closing = {a.uid for a in actions if isinstance(a, SetAdmit) and not a.admitted}
    open_now = {pod.uid for pod in pods_of(snapshot) if pod.open}
    if not closing or open_now - closing:
        return [list(actions)]
    off: list[Action] = [a for a in actions if isinstance(a, SetAdmit) and not a.admitted]
    return [[a for a in actions if a not in off], off]
