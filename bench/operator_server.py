"""The operator under test: the production loop, report API and Kubernetes store, no API server.

100 Deployments of 10 pods stand in the store as the API would show them; writes change them there.
``python -m bench.operator_server`` prints its port and the pods as one JSON line, then answers one
line per command on stdin: ``{"do": "roll"}`` starts a rolling update of every Deployment,
``{"do": "stats"}`` says what was counted.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tidegate.contract.names import LABEL_ADMIT, LABEL_INJECTED
from tidegate.rollout.snapshot import Policy
from tidegate_kubernetes.api import KubeApi
from tidegate_kubernetes.kinds import DEPLOYMENTS, PODS, REPLICA_SETS, SERVICES
from tidegate_operator.kube.cluster import KubernetesCluster
from tidegate_operator.kube.events import EventWriter
from tidegate_operator.kube.identity import Identities
from tidegate_operator.kube.watched.store import Store
from tidegate_operator.meters import Meters
from tidegate_operator.reconcile import Reconciler
from tidegate_operator.report_api import report_app, report_server
from tidegate_operator.reports import ReportBook

WORKLOADS = 100
PODS_EACH = 10
GRACE_S = 120
NAMESPACE = "bench"
Raw = dict[str, Any]


class Objects(KubeApi):
    """Takes the operator's patches as the API server would, and gives them to the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pods: dict[str, Raw] = {}
        self._version = 0

    def keep(self, kind: Any, raw: Raw) -> None:
        """Make or change an object."""
        self._version += 1
        raw["metadata"] |= {"resourceVersion": str(self._version), "namespace": NAMESPACE}
        if kind is PODS:
            self._pods[f"{PODS.path(NAMESPACE)}/{raw['metadata']['name']}"] = raw
        self._store.put(kind, raw)

    def pod(self, name: str) -> Raw:
        """A pod by its name."""
        return self._pods[f"{PODS.path(NAMESPACE)}/{name}"]

    async def merge(self, path: str, body: Mapping[str, Any]) -> Raw:
        """Labels and annotations of a pod; nothing else is patched."""
        meta = self._pods[path]["metadata"]
        for field in ("labels", "annotations"):
            meta[field] = {**meta.get(field, {}), **body["metadata"].get(field, {})}
        self._version += 1
        meta["resourceVersion"] = str(self._version)
        return self._pods[path]

    async def post(self, path: str, body: Mapping[str, Any]) -> Raw:
        """Events are taken and forgotten."""
        return {"metadata": {"name": "event"}}


class Cluster(KubernetesCluster):
    """A pod's token is its uid: the API server that would review it is not measured."""

    async def identify(self, token: str) -> str | None:
        """Any token."""
        return token


class Fleet:
    """The Deployments, ReplicaSets, Services and pods."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def build(self) -> dict[str, list[str]]:
        """Make everything at rest; returns the pods' uids by workload."""
        made: dict[str, list[str]] = {}
        for i in range(WORKLOADS):
            name = f"app-{i}"
            labels = {"app": name, LABEL_ADMIT: "true"}
            self._objects.keep(DEPLOYMENTS, _deployment(name, labels))
            self._objects.keep(SERVICES, _service(name, labels))
            self._objects.keep(REPLICA_SETS, _replica_set(name, "old", 1))
            made[name] = [self.add_pod(name, "old", j) for j in range(PODS_EACH)]
        return made

    def add_pod(self, name: str, revision: str, index: int) -> str:
        """Make one ready pod; its uid is its name."""
        uid = f"{name}-{revision}-{index}"
        self._objects.keep(PODS, _pod(uid, name, revision))
        return uid

    def roll(self) -> dict[str, dict[str, str]]:
        """One new pod ready and one old one deleted in every workload: surge 1."""
        moved = {}
        for i in range(WORKLOADS):
            name = f"app-{i}"
            self._objects.keep(REPLICA_SETS, _replica_set(name, "new", 2))
            born = self.add_pod(name, "new", 0)
            doomed = f"{name}-old-0"
            raw = self._objects.pod(doomed)
            raw["metadata"] |= {
                "deletionTimestamp": _timestamp(time.time() + GRACE_S),
                "deletionGracePeriodSeconds": GRACE_S,
            }
            self._objects.keep(PODS, raw)
            moved[name] = {"born": born, "doomed": doomed}
        return moved


async def serve() -> None:
    """Serve until stdin ends."""
    store = Store()
    objects = Objects(store)
    fleet = Fleet(objects)
    pods = fleet.build()
    meters, book = Meters(), ReportBook(time.monotonic)
    cluster = Cluster(
        store,
        objects,
        Policy(),
        Identities(objects, lambda uid: True, time.monotonic),
        EventWriter(objects, "bench", time.time),
        time.time,
        meters,
    )
    reconciler = Reconciler(cluster, book, time.monotonic, meters)
    store.on_change = reconciler.nudge
    server = report_server(report_app(cluster, book, meters), "127.0.0.1")
    port = await server.start()
    running = asyncio.create_task(reconciler.run())
    _say({"port": port, "pods": pods})
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        running.done() and running.result()
        _say(fleet.roll() if json.loads(line)["do"] == "roll" else _stats(meters))
    running.cancel()
    book.close()
    await server.stop()


def _stats(meters: Meters) -> dict[str, float]:
    def value(name: str) -> float:
        return meters.registry.get_sample_value(f"tidegate_operator_{name}") or 0.0

    return {
        "reports": value("reports_total"),
        "plans": value("plan_seconds_count"),
        "plan_s": value("plan_seconds_sum"),
    }


def _say(document: object) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def _timestamp(now_s: float) -> str:
    return datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _meta(name: str, **more: Any) -> Raw:
    return {"name": name, "uid": name, "creationTimestamp": _timestamp(time.time()), **more}


def _owner(kind: str, name: str) -> list[Raw]:
    return [{"kind": kind, "name": name, "uid": name, "controller": True}]


def _deployment(name: str, labels: dict[str, str]) -> Raw:
    spec = {
        "replicas": PODS_EACH,
        "selector": {"matchLabels": {"app": name}},
        "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": {"metadata": {"labels": labels}},
    }
    return {"kind": "Deployment", "metadata": _meta(name), "spec": spec}


def _service(name: str, labels: dict[str, str]) -> Raw:
    port = {"port": 80, "targetPort": "tidegate-sse"}
    spec = {"selector": labels, "ports": [port]}
    return {"kind": "Service", "metadata": _meta(f"{name}-sse"), "spec": spec}


def _replica_set(name: str, revision: str, number: int) -> Raw:
    meta = _meta(
        f"{name}-{revision}",
        labels={"pod-template-hash": revision},
        annotations={"deployment.kubernetes.io/revision": str(number)},
        ownerReferences=_owner("Deployment", name),
    )
    return {"kind": "ReplicaSet", "metadata": meta, "spec": {"replicas": PODS_EACH}}


def _pod(uid: str, name: str, revision: str) -> Raw:
    labels = {
        "app": name,
        LABEL_ADMIT: "true",
        LABEL_INJECTED: "true",
        "pod-template-hash": revision,
    }
    meta = _meta(uid, labels=labels, ownerReferences=_owner("ReplicaSet", f"{name}-{revision}"))
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": _timestamp(time.time() - 60)}
    return {"kind": "Pod", "metadata": meta, "status": {"phase": "Running", "conditions": [ready]}}


if __name__ == "__main__":
    asyncio.run(serve())
