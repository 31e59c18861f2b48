"""Objects as a real API server returned them (1.36), and small changes to them."""

from __future__ import annotations

import copy
import itertools
import json
from pathlib import Path
from typing import Any

from tidegate.contract.report import Report
from tidegate_kubernetes.kinds import (
    DEPLOYMENTS,
    PODS,
    POLICIES,
    REPLICA_SETS,
    SERVICES,
    STATEFUL_SETS,
)
from tidegate_kubernetes.values import timestamp_s
from tidegate_operator.kube.watched.store import Store

FIXTURES = Path(__file__).parent / "fixtures"
OLD, NEW = "7c74b8b745", "8dd77bdd6"
NAME = "default/Deployment/shop"
ADMIT = "tidegate.dev/admit"

Raw = dict[str, Any]


def fixture(name: str) -> Raw:
    value: Raw = json.loads((FIXTURES / f"{name}.json").read_text())
    return value


class World:
    """The recorded moment in the middle of a rollout: two old pods, one new ready, one starting."""

    def __init__(self) -> None:
        self.deployment = fixture("deployment")
        self.deployments = [self.deployment]
        self.replica_sets = fixture("replicasets")["items"]
        self.pods = fixture("pods")["items"]
        self.services = [fixture("service")]
        self.policies: list[Raw] = []
        self.stateful_sets: list[Raw] = []
        self._uids = itertools.count(1)

    @property
    def now_s(self) -> float:
        """A minute after the last pod came."""
        return 60.0 + max(timestamp_s(p["metadata"]["creationTimestamp"]) or 0 for p in self.pods)

    def pod(self, revision: str, index: int = 0) -> Raw:
        key = "pod-template-hash"
        found: list[Raw] = [p for p in self.pods if p["metadata"]["labels"][key] == revision]
        return found[index]

    def another(self, raw: Raw, **metadata: Any) -> Raw:
        """A copy with a uid of its own."""
        made = copy.deepcopy(raw)
        made["metadata"] |= {"uid": f"made-{next(self._uids)}", **metadata}
        return made

    def store(self) -> Store:
        store = Store()
        for kind, found in (
            (DEPLOYMENTS, self.deployments),
            (REPLICA_SETS, self.replica_sets),
            (PODS, self.pods),
            (SERVICES, self.services),
            (POLICIES, self.policies),
            (STATEFUL_SETS, self.stateful_sets),
        ):
            for raw in found:
                store.put(kind, raw)
        assert store.malformed == 0
        return store


def delete(pod: Raw, at: str, grace_s: int) -> None:
    """Mark a pod deleted as the API does: the timestamp is the end of the grace period."""
    pod["metadata"] |= {"deletionTimestamp": at, "deletionGracePeriodSeconds": grace_s}


def reported(uid: str, streams: int, arrived: int | None = None, seq: int = 1) -> Report:
    arrived = streams if arrived is None else arrived
    return Report(uid, seq, streams, arrived, arrived - streams, "ready", 0, 1000.0, "test")
