"""`KubernetesCluster`: the operator's port to the world, over the store and the API.

Reads come from the store, at the price of a few milliseconds; writes are merge patches that name
the pod's uid, so that a successor of the same name (a StatefulSet's) is never mistaken for it. The
answer of a patch goes into the store at once: the next look must not wait for the watch to see
what it has just done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from tidegate.contract.errors import ClusterError
from tidegate.contract.names import ANNOTATION_DELETION_COST, LABEL_ADMIT
from tidegate.rollout.snapshot import Policy
from tidegate_kubernetes.api import KubeApi
from tidegate_kubernetes.kinds import PODS
from tidegate_kubernetes.objects import PodObject, PolicyObject
from tidegate_operator.bulkhead import Bulkhead
from tidegate_operator.cluster import Scope
from tidegate_operator.kube.events import EventWriter
from tidegate_operator.kube.identity import Identities
from tidegate_operator.kube.snapshots.build import World, build
from tidegate_operator.kube.watched.store import Store
from tidegate_operator.meters import Meters

TIMED_S: Final = 0.25
"""How old a snapshot with running deadlines may be: building one of 1,000 pods takes 25 ms."""


class KubernetesCluster:
    """Implements `tidegate_operator.cluster.Cluster`. `now` gives Unix seconds.

    `default` is the policy of workloads that no DrainPolicy selects.
    """

    def __init__(
        self,
        store: Store,
        api: KubeApi,
        default: Policy,
        identities: Identities,
        events: EventWriter,
        now: Callable[[], float],
        meters: Meters,
    ) -> None:
        self._bulkhead = Bulkhead(now, meters.failures)
        self._store = store
        self._api = api
        self._default = default
        self._identities = identities
        self._events = events
        self._now = now
        self._world: World | None = None
        self._generation = -1
        self._built_s = 0.0

    @property
    def world(self) -> World:
        """The current snapshot; built again only when an object or the time has changed it."""
        world, now_s = self._world, self._now()
        aged = world is not None and world.timed and abs(now_s - self._built_s) >= TIMED_S
        if world is None or aged or self._generation != self._store.generation:
            world = build(self._store, self._default, now_s)
            self._world, self._built_s = world, now_s
            self._generation = self._store.generation
            for name, error in world.failed.items():
                with self._bulkhead.holds("reading", name):
                    raise error
        return world

    @property
    def policies(self) -> Sequence[PolicyObject]:
        """Every DrainPolicy, also one that selects nothing."""
        return tuple(self._store.policies)

    def snapshots(self) -> Sequence[Scope]:
        """Every policy's workloads, and each other workload under the default policy."""
        return self.world.scopes

    async def identify(self, token: str) -> str | None:
        """The live, injected pod with this projected token; raises `ClusterError`."""
        return await self._identities.identify(token)

    async def set_admit(self, uid: str, admitted: bool) -> None:
        """Write the admit label; raises `ClusterError` (404, 409: the pod has gone)."""
        value = "true" if admitted else "false"
        await self._patch(self._pod(uid), {"labels": {LABEL_ADMIT: value}})

    async def set_deletion_cost(self, uid: str, cost: int) -> None:
        """Write the deletion cost; only a ReplicaSet's pods have a use for one (KEP-2255)."""
        pod = self._pod(uid)
        if pod.meta.owner is not None and pod.meta.owner[0] == "ReplicaSet":
            await self._patch(pod, {"annotations": {ANNOTATION_DELETION_COST: str(cost)}})

    async def event(self, workload: str, reason: str, message: str, warning: bool) -> None:
        """Write an Event about a workload; raises `ClusterError`."""
        key = self.world.keys.get(workload)
        if key is None:
            raise ClusterError(f"workload {workload} is gone")
        await self._events.write(key, self.world.uids[workload], reason, message, warning=warning)

    def _pod(self, uid: str) -> PodObject:
        pod = self._store.pod(uid)
        if pod is None:
            raise ClusterError(f"pod {uid} is gone")
        return pod

    async def _patch(self, pod: PodObject, change: dict[str, Any]) -> None:
        path = f"{PODS.path(pod.meta.namespace)}/{pod.meta.name}"
        body = {"metadata": {"uid": pod.meta.uid, **change}}
        self._store.refresh(PODS, await self._api.merge(path, body))
