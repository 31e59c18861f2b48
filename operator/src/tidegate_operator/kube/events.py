"""Kubernetes Events about workloads, as ``kubectl describe deployment`` shows them.

events.k8s.io/v1. A repeated Event becomes a series on the same object instead of a new one, so
that a planner that has lost its memory cannot flood a namespace.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tidegate_kubernetes.api import ApiError, KubeApi
from tidegate_operator.kube.snapshots.keys import WorkloadKey

CONTROLLER: Final = "tidegate.dev/operator"
SERIES_S: Final = 1800.0
MOST_SERIES: Final = 1000
MAX_NOTE: Final = 1024
API_VERSIONS: Final[Mapping[str, str]] = {"Rollout": "argoproj.io/v1alpha1", "Pod": "v1"}
NOT_FOUND: Final = 404


@dataclass(slots=True)
class _Series:
    path: str
    count: int
    until_s: float


class EventWriter:
    """Writes Events. `now` gives Unix seconds; `instance` names this replica."""

    def __init__(self, api: KubeApi, instance: str, now: Callable[[], float]) -> None:
        self._api = api
        self._instance = instance
        self._now = now
        self._series: OrderedDict[tuple[str, str, str], _Series] = OrderedDict()

    async def write(
        self, key: WorkloadKey, uid: str, reason: str, message: str, *, warning: bool
    ) -> None:
        """Write an Event about a workload; raises `ApiError`."""
        word = (str(key), reason, message)
        known = self._series.get(word)
        if known is not None and self._now() < known.until_s and await self._again(known):
            return
        body = event_of(key, uid, reason, message, warning, self._instance, self._now())
        root = f"/apis/events.k8s.io/v1/namespaces/{key.namespace}/events"
        made = await self._api.post(root, body)
        path = f"{root}/{made['metadata']['name']}"
        self._series[word] = _Series(path, 1, self._now() + SERIES_S)
        while len(self._series) > MOST_SERIES:
            self._series.popitem(last=False)

    async def _again(self, known: _Series) -> bool:
        """Count one more of a series; False where its Event has expired."""
        known.count += 1
        seen = {"count": known.count, "lastObservedTime": micro_time(self._now())}
        try:
            await self._api.merge(known.path, {"series": seen})
        except ApiError as error:
            if error.status == NOT_FOUND:
                return False
            raise
        return True


def event_of(
    key: WorkloadKey,
    uid: str,
    reason: str,
    message: str,
    warning: bool,
    instance: str,
    now_s: float,
) -> dict[str, Any]:
    """An Event about a workload, as events.k8s.io/v1 wants it. `now_s` is Unix seconds."""
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"generateName": f"{key.name[:200]}-", "namespace": key.namespace},
        "eventTime": micro_time(now_s),
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:128] or CONTROLLER,
        "action": "Steer",
        "reason": reason[:128],
        "note": message[:MAX_NOTE],
        "type": "Warning" if warning else "Normal",
        "regarding": {
            "apiVersion": API_VERSIONS.get(key.kind, "apps/v1"),
            "kind": key.kind,
            "namespace": key.namespace,
            "name": key.name,
            "uid": uid,
        },
    }


def micro_time(now_s: float) -> str:
    """Unix seconds as the API's MicroTime."""
    return datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
