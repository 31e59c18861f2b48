"""A cluster of plain data, and a clock that only moves when told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tidegate.contract.errors import ClusterError
from tidegate.contract.report import Report
from tidegate.rollout.snapshot import Pod, Policy, Snapshot, Workload
from tidegate_operator.cluster import Scope


@dataclass
class FakeCluster:
    """Pods as data; writes change them, and those to a uid in `failing` raise."""

    pods: list[Pod]
    replicas: int = 2
    revision: str = "new"
    failing: set[str] = field(default_factory=set)
    writes: list[tuple[str, str, object]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    def snapshots(self) -> Sequence[Scope]:
        workload = Workload("web", self.replicas, self.revision, tuple(self.pods))
        return [Scope("policy", Policy(), Snapshot((workload,)))]

    async def identify(self, token: str) -> str | None:
        return next((p.uid for p in self.pods if token == f"token-{p.uid}"), None)

    async def set_admit(self, uid: str, admitted: bool) -> None:
        self._write("admit", uid, admitted)
        self.pods = [replace(p, admitted=admitted) if p.uid == uid else p for p in self.pods]

    async def set_deletion_cost(self, uid: str, cost: int) -> None:
        self._write("cost", uid, cost)

    async def event(self, workload: str, reason: str, message: str, warning: bool) -> None:
        if workload in self.failing:
            raise ClusterError(f"no Event about {workload}")
        self.events.append(reason)

    def _write(self, kind: str, uid: str, value: object) -> None:
        self.writes.append((kind, uid, value))
        if uid in self.failing:
            raise ClusterError(f"{uid} is gone")


def pod(uid: str, revision: str = "new", ready: bool = True, **more: object) -> Pod:
    return Pod(uid=uid, name=uid, revision=revision, ready=ready, **more)  # type: ignore[arg-type]


def report(uid: str, seq: int = 1, streams: int = 10, **more: object) -> Report:
    fields: dict[str, object] = {
        "arrived_total": streams,
        "ended_total": 0,
        "state": "ready",
        "plan_seq": 0,
        "rate_limit_per_s": 1000.0,
        "version": "test",
        **more,
    }
    return Report(uid=uid, seq=seq, streams=streams, **fields)  # type: ignore[arg-type]
