"""The simulated cluster: a Deployment's pods, their Service, and the operator beside them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from tidegate.contract.drain_settings import DrainSettings
from tidegate.contract.stream_settings import StreamSettings
from tidegate.drain.drain import Drain
from tidegate.rollout.memory import Memory
from tidegate.rollout.pacing import UNLANDED_RETRY_MS, worth_sending
from tidegate.rollout.plan import Decision, plan, plans_of
from tidegate.rollout.snapshot import Pod, Policy, SetAdmit, SetDeletionCost, Snapshot, Workload
from tidegate_lab.fleet.deployment import (
    Replica,
    Step,
    in_place_step,
    recreate_step,
    rolling_step,
)
from tidegate_lab.simulate.pods import PodEvents, SimulatedPod
from tidegate_lab.simulate.service import Service
from tidegate_lab.simulate.settings import STOCK_SLEEP_S, Settings
from tidegate_lab.simulate.timeline import Timeline

API_S = 0.02
"""How long a patch or an answer is under way."""


def new_drain(settings: Settings) -> Drain:
    """The drain of one more pod of this policy."""
    streams = StreamSettings(retry_base_ms=max(settings.retry_ms, UNLANDED_RETRY_MS))
    if settings.policy in ("stock", "stock+sleep"):
        sleep_s = STOCK_SLEEP_S if settings.policy == "stock+sleep" else 0.0
        stock = DrainSettings(mode="cut", grace_s=settings.grace_s, prestop_sleep_s=sleep_s)
        return Drain(stock, streams)
    usual_s = DrainSettings.usual_reserve_s(settings.grace_s)
    drain = DrainSettings(
        grace_s=settings.grace_s,
        reserve_s=usual_s if settings.reserve_s is None else settings.reserve_s,
        linger_s=settings.linger_s,
    )
    return Drain(drain, streams, operator=settings.steered, back_loaded=settings.back_loaded)


class SimulatedFleet:
    """One Deployment. `released` is called for every stream that a pod lets go or cuts.

    `beside` is another one under the same policy, whose operator plans for both.
    """

    def __init__(
        self,
        settings: Settings,
        timeline: Timeline,
        rng: random.Random,
        released: Callable[[SimulatedPod, int, float | None], None],
        beside: SimulatedFleet | None = None,
    ) -> None:
        self.settings = settings
        self._planned: list[SimulatedFleet] = [self] if beside is None else beside._planned
        self._name = "simulated" if beside is None else f"beside-{len(self._planned)}"
        if beside is not None:
            self._planned.append(self)
        self.replicas = settings.pods
        self.pods: list[SimulatedPod] = []
        self.revision = "old"
        self._created = 0
        self.ever_new: set[str] = set()
        self.started_s: float | None = None
        self.settled_s: float | None = None
        """Since when only pods of the desired revision are left and all of them serve."""

        self.service = Service(timeline, rng, settings.lag_s, lambda: self.pods)
        self._timeline = timeline
        self._events = PodEvents(released, self._gone)
        self._policy = Policy(
            budget_per_s=settings.budget_per_s,
            retry_ms=settings.retry_ms,
            flip_lag_s=max(settings.lag_s, 0.1),
        )
        self._memory = Memory()
        self._report_every_s = 15.0
        self._operate_at_s = float("inf")
        self._rng = rng
        self._away = False
        self._heard_s: dict[str, float] = {}
        for _ in range(settings.pods):
            pod = self._create()
            pod.become_ready()
            pod.available_s = timeline.now_s
        self.service.sync()

    def roll(self) -> None:
        """``kubectl rollout restart``: another revision is desired for."""
        self.revision = "new"
        self.started_s = self._timeline.now_s
        if self.settings.away_s > 0:
            self._timeline.after(self.settings.away_from_s, self._leave)
        self._reconcile()

    def scale(self, replicas: int) -> None:
        """``kubectl scale``: upwards only."""
        self.replicas = replicas
        self._reconcile()

    def crash(self, pod: SimulatedPod) -> None:
        """The pod's container ends without a goodbye, and is started again."""
        pod.crash(new_drain(self.settings))
        self.service.changed()
        self._timeline.after(self.settings.ready_delay_s, partial(self._ready, pod))
        self.changed()

    def lose_node(self, pod: SimulatedPod) -> None:
        """The pod is gone with its node, and another one is made elsewhere."""
        pod.crash(new_drain(self.settings))
        pod.alive = False
        self.service.changed()
        self._gone(pod)
        self._reconcile()

    # The Deployment controller.

    def _reconcile(self) -> None:
        settings = self.settings
        step = self._step([self._replica(p) for p in self.pods if p.deleted_s is None])
        for _ in range(step.create):
            pod = self._create()
            self._timeline.after(settings.ready_delay_s, partial(self._ready, pod))
        for pod in [p for p in self.pods if p.name in step.delete]:
            pod.delete()
        if step.delete:
            self.service.changed()
            self._reconcile()
        self.changed()

    def _step(self, pods: list[Replica]) -> Step:
        settings, terminating = self.settings, len(self.pods) - len(pods)
        if settings.strategy == "StatefulSet":
            return in_place_step(pods, self.revision, self.replicas, terminating)
        if settings.strategy == "Recreate":
            return recreate_step(pods, self.revision, self.replicas, terminating)
        return rolling_step(
            pods, self.revision, self.replicas, settings.max_surge, settings.max_unavailable
        )

    def _replica(self, pod: SimulatedPod) -> Replica:
        return Replica(
            uid=pod.name,
            revision=pod.revision,
            ready=pod.ready_s is not None,
            available=pod.available_s is not None,
            deletion_cost=pod.deletion_cost or 0,
            created_s=pod.created_s,
            ready_s=pod.ready_s or 0.0,
        )

    def _create(self) -> SimulatedPod:
        self._created += 1
        name = f"{self.revision}-{self._created}"
        if self._planned[0] is not self:
            name = f"{self._name}-{name}"
        pod = SimulatedPod(
            name, self.revision, new_drain(self.settings), self._timeline, self._events
        )
        self.pods.append(pod)
        if self.revision == "new":
            self.ever_new.add(name)
        return pod

    def _ready(self, pod: SimulatedPod) -> None:
        pod.become_ready()
        self.service.changed()
        self._timeline.after(self.settings.min_ready_s, lambda: self._available(pod))
        self.changed()

    def _available(self, pod: SimulatedPod) -> None:
        pod.available_s = self._timeline.now_s
        self._reconcile()
        self._look_whether_settled()

    def _gone(self, pod: SimulatedPod) -> None:
        self.pods.remove(pod)
        if self.settings.strategy != "RollingUpdate":
            self._reconcile()
        self._look_whether_settled()
        self.changed()

    def _look_whether_settled(self) -> None:
        serving = all(p.revision == self.revision and p.available_s is not None for p in self.pods)
        if self.started_s is not None and serving and len(self.pods) == self.replicas:
            self.settled_s = self._timeline.now_s

    # The operator.

    def changed(self) -> None:
        """A change: reconcile soon (within a tenth of a second, as in production)."""
        if self._planned[0] is not self:
            self._planned[0].changed()
        elif self.settings.steered:
            self._operate_by(self._timeline.now_s + API_S)

    def _leave(self) -> None:
        """The operator is stopped, and after a while another one takes over."""
        self._away = True
        self._timeline.after(self.settings.away_s, self._take_over)

    def _take_over(self) -> None:
        self._away, self._memory = False, Memory()
        now, within_s = self._timeline.now_s, self.settings.heard_within_s
        self._heard_s = {p.name: now + self._rng.uniform(0.0, within_s) for p in self.pods}
        for heard_s in self._heard_s.values():
            self._timeline.at(heard_s, self.changed)
        self.changed()

    def _operate_by(self, when_s: float) -> None:
        if when_s < self._operate_at_s and not self._away:
            self._operate_at_s = when_s
            self._timeline.at(when_s, self._operate)

    def _operate(self) -> None:
        now = self._timeline.now_s
        if now < self._operate_at_s:
            return
        self._operate_at_s = float("inf")
        if self._away:
            return
        memory = Memory() if self.settings.forget_every_time else self._memory
        snapshot = Snapshot(tuple(f._workload() for f in self._planned))
        decision = plan(snapshot, self._policy, now, memory)
        self._memory = decision.memory
        for fleet in self._planned:
            fleet._report_every_s = decision.report_every_s
            fleet._carry_out(decision, now)
        self._operate_by(now + decision.requeue_after_s)

    def _carry_out(self, decision: Decision, now: float) -> None:
        plans = plans_of(decision)
        for pod in [*self.pods]:
            wanted = plans[pod.name].plan if pod.name in plans else None
            sent, sent_s = pod.last_order
            if worth_sending(wanted, sent, now - sent_s):
                self._timeline.after(API_S, partial(pod.receive, wanted))
        for action in decision.actions:
            if isinstance(action, SetAdmit | SetDeletionCost):
                self._timeline.after(API_S, partial(self._patch, action))

    def _patch(self, action: SetAdmit | SetDeletionCost) -> None:
        for pod in self.pods:
            if pod.name == action.uid and isinstance(action, SetAdmit):
                pod.admitted = action.admitted
                self.service.changed()
            elif pod.name == action.uid and isinstance(action, SetDeletionCost):
                pod.deletion_cost = action.cost

    def _shown(self, pod: SimulatedPod) -> Pod:
        shown = pod.shown(self._report_every_s)
        if self._timeline.now_s < self._heard_s.get(pod.name, 0.0):
            return replace(shown, report=None, report_age_s=0.0)
        return shown

    def _workload(self) -> Workload:
        settings = self.settings
        return Workload(
            name=self._name,
            replicas=self.replicas,
            revision=self.revision,
            pods=tuple(self._shown(p) for p in self.pods),
            max_surge=settings.max_surge,
            max_unavailable=settings.max_unavailable,
            in_place=settings.strategy != "RollingUpdate",
        )
