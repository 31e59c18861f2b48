"""Small fleets for the planner's tests, written as a person would draw them."""

from __future__ import annotations

from typing import Any

from tidegate.contract.report import PodState, Report
from tidegate.rollout.snapshot import Pod, Snapshot, Workload


def report(uid: str, streams: int, state: PodState = "ready", **more: Any) -> Report:
    """A fresh report."""
    return Report(uid, 1, streams, streams, 0, state, 0, 1000.0, "test", **more)


def pod(uid: str, streams: int, revision: str = "new", **more: Any) -> Pod:
    """A ready, open pod with a deletion cost that fits."""
    given: dict[str, Any] = {
        "ready": True,
        "deletion_cost": streams,
        "report": report(uid, streams),
    } | more
    return Pod(uid, uid, revision, **given)


def draining(uid: str, streams: int, left_s: float = 40.0, **more: Any) -> Pod:
    """A closed old pod that drains for three seconds already."""
    said = report(uid, streams, "draining", drain_started_s=3.0, deadline_in_s=left_s)
    given: dict[str, Any] = {
        "ready": False,
        "deleting": True,
        "admitted": False,
        "deadline_in_s": left_s + 5,
        "report": said,
    } | more
    return Pod(uid, uid, "old", **given)


def fleet(*pods: Pod, replicas: int = 3, **more: Any) -> Snapshot:
    """One workload whose desired revision is ``new``."""
    return Snapshot((Workload("shop/feed", replicas, "new", pods, **more),))
