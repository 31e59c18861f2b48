"""A rolling update as one pure step: what to create and what to delete now.

After `pkg/controller/deployment/rolling.go` and `controller_utils.go` (ActivePodsWithRanks) of
Kubernetes 1.36: a Deployment's terminating pods are not counted and never waited for. In place they
are: a StatefulSet (`pkg/controller/statefulset/stateful_set_control.go`) and the strategy Recreate
(`pkg/controller/deployment/recreate.go`) create a successor only once its predecessor is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Replica:
    """A pod that is not terminating, as the controller sees it.

    `available` is ready for minReadySeconds. `created_s` and `ready_s` order pods by age.
    """

    uid: str
    revision: str
    ready: bool
    available: bool
    deletion_cost: int = 0
    created_s: float = 0.0
    ready_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """How many pods of the new revision to create, and which pods to delete."""

    create: int = 0
    delete: tuple[str, ...] = ()


def rolling_step(
    pods: Sequence[Replica],
    revision: str,
    replicas: int,
    max_surge: int,
    max_unavailable: int,
) -> Step:
    """One look of the controller towards `replicas` pods of `revision`."""
    new = [pod for pod in pods if pod.revision == revision]
    old = [pod for pod in pods if pod.revision != revision]
    create = max(0, min(replicas + max_surge - len(pods), replicas - len(new)))
    least_available = replicas - max_unavailable
    unavailable_new = create + sum(not pod.available for pod in new)
    most_down = len(pods) + create - least_available - unavailable_new
    unhealthy = sum(not pod.available for pod in old)
    available = sum(pod.available for pod in pods)
    down = min(max(0, most_down), unhealthy)
    spare = min(available - least_available, most_down - down)
    down += max(0, min(spare, len(old) - down))
    victims = sorted(old, key=_deletion_rank)[:down]
    return Step(create, tuple(pod.uid for pod in victims))


def in_place_step(pods: Sequence[Replica], revision: str, replicas: int, terminating: int) -> Step:
    """One look of a StatefulSet's controller: the last pod created of the old revision goes once
    all others are available and none is `terminating`, and its successor follows it.
    """
    create = max(0, replicas - len(pods) - terminating)
    whole = len(pods) == replicas and all(pod.available for pod in pods)
    old = sorted((pod for pod in pods if pod.revision != revision), key=lambda p: p.created_s)
    return Step(create, tuple(pod.uid for pod in old[-1:]) if whole else ())


def recreate_step(pods: Sequence[Replica], revision: str, replicas: int, terminating: int) -> Step:
    """One look of a Deployment's controller with the strategy Recreate: all old pods go at once,
    and the new ones come once none is `terminating`.
    """
    old = tuple(pod.uid for pod in pods if pod.revision != revision)
    return Step(0 if old or terminating else max(0, replicas - len(pods)), old)


def _deletion_rank(pod: Replica) -> tuple[bool, int, float, float]:
    """The order of deletion: not ready, then lower pod-deletion-cost (KEP-2255), then the newer
    one.
    """
    return (pod.ready, pod.deletion_cost, -pod.ready_s, -pod.created_s)
