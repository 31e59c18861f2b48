"""The operator's port on Kubernetes over a fake API that holds the recorded world."""

from __future__ import annotations

from operator_kube.fake_api import FakeApi
from operator_kube.kube_world import World

from tidegate.rollout.snapshot import Pod, Policy
from tidegate_kubernetes.kinds import PODS
from tidegate_operator.cluster import Cluster
from tidegate_operator.kube.cluster import KubernetesCluster
from tidegate_operator.kube.events import EventWriter
from tidegate_operator.kube.identity import Identities
from tidegate_operator.meters import Meters


class Desk:
    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self.store = self.world.store()
        self.now_s = self.world.now_s
        self.api = FakeApi()
        self.api._version = 1_000_000
        for pod in self.world.pods:
            self.api.objects[self.path(pod)] = pod
        identities = Identities(self.api, lambda uid: True, lambda: 0.0)
        events = EventWriter(self.api, "operator-0", lambda: self.now_s)
        self.kubernetes = KubernetesCluster(
            self.store, self.api, Policy(), identities, events, lambda: self.now_s, Meters()
        )
        self.cluster: Cluster = self.kubernetes

    def path(self, pod: dict[str, dict[str, str]]) -> str:
        return f"{PODS.path('default')}/{pod['metadata']['name']}"

    def seen(self, uid: str) -> Pod:
        pods = [p for s in self.cluster.snapshots() for w in s.snapshot.workloads for p in w.pods]
        return next(p for p in pods if p.uid == uid)
