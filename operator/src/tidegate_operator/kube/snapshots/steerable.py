"""May a workload's stream Service be steered? If not, why, and what to change.

Steering means that a pod leaves the Service while its streams live on. That is only safe where
every router picks freely among the endpoints for each *new* connection and leaves old ones alone,
and only useful where the Service carries streams and nothing else. The operator never edits a
Service: its owner opts in by putting the admit label into the selector and the pod template.

One table of rules; each gives the text for the Event and the DrainPolicy's status.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from tidegate.contract.kube import CONTAINER_PORT_STREAMS
from tidegate.contract.names import LABEL_ADMIT
from tidegate_kubernetes import selectors
from tidegate_kubernetes.objects import (
    LABEL_CONTROLLER_REVISION,
    LABEL_ROLLOUT_HASH,
    LABEL_TEMPLATE_HASH,
    PodObject,
    ServiceObject,
    WorkloadObject,
)

POD_IP_ANNOTATIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": ("ip",),
    "alb.ingress.kubernetes.io/target-type": ("ip",),
    "service.beta.kubernetes.io/aws-load-balancer-type": ("nlb-ip",),
    "cloud.google.com/neg": (),
    "service.kubernetes.io/topology-mode": ("Auto", "auto"),
}
"""Annotations by which routers in front stop choosing freely; no values means any value.

The first four make a load balancer target pod IPs, so a pod that leaves the Service has its live
streams cut; the last keeps a client in its zone, so the least loaded pod is open in one zone only.
"""

ONE_REVISION: Final = (
    LABEL_TEMPLATE_HASH,
    LABEL_ROLLOUT_HASH,
    LABEL_CONTROLLER_REVISION,
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
)
"""Labels that only some pods of a workload share: those of one revision, or a single pod."""

Check = Callable[[Mapping[str, Any]], str | None]


def stream_services(
    services: Iterable[ServiceObject], namespace: str, labels: Mapping[str, str]
) -> list[ServiceObject]:
    """The Services that steer pods with these labels: the admit label stands in their selector.

    Also one that is pinned to a revision of them, which `refusal` refuses: whether it selects these
    very pods would change in the middle of a rollout.
    """
    return [s for s in services if s.meta.namespace == namespace and _steers(s, labels)]


def _steers(service: ServiceObject, labels: Mapping[str, str]) -> bool:
    rest = dict(service.spec.get("selector") or {})
    admit = rest.pop(LABEL_ADMIT, None)
    for label in ONE_REVISION:
        rest.pop(label, None)
    return admit == "true" and bool(rest) and selectors.selects(rest, labels)


def refusal(
    workload: WorkloadObject | None,
    services: Iterable[ServiceObject],
    pods: Collection[PodObject],
    namespace: str,
    labels: Mapping[str, str],
) -> str | None:
    """Why the pods must not be steered, with the fix; ``None`` where they may be.

    `services` are those of the cluster or of `namespace`; `labels` are the pods' (from the
    template, or of one of them). `workload` is ``None`` for a controller this operator does not
    read, whose selector it therefore cannot judge.
    """
    found = stream_services(services, namespace, labels)
    if not found:
        return (
            "no stream Service selects these pods: give one that has nothing but the port "
            f'{CONTAINER_PORT_STREAMS} the selector {LABEL_ADMIT}: "true" beside the labels of '
            f'the pods, and put {LABEL_ADMIT}: "true" into the pod template'
        )
    problems = [_of_service(service) for service in found]
    problems.append(_of_workload(workload, pods, labels))
    return next((problem for problem in problems if problem), None)


def _of_workload(
    workload: WorkloadObject | None, pods: Collection[PodObject], labels: Mapping[str, str]
) -> str | None:
    if workload is not None and LABEL_ADMIT in selectors.keys(workload.selector):
        return (
            f"{workload.kind} {workload.meta.name} has {LABEL_ADMIT} in spec.selector, so a pod "
            "whose label changes would be orphaned and replaced: take it out of matchLabels"
        )
    carried = LABEL_ADMIT in labels or any(LABEL_ADMIT in pod.meta.labels for pod in pods)
    if not carried:
        return (
            f'the pod template lacks {LABEL_ADMIT}: "true", so without the operator no pod would '
            "ever join the stream Service: add it to the template's labels"
        )
    return None


def _of_service(service: ServiceObject) -> str | None:
    """The first rule that a stream Service breaks."""
    found = next((text for check in _CHECKS if (text := check(service.spec))), None)
    found = found or _of_annotations(service)
    return None if found is None else f"Service {service.meta.name}: {found}"


def _of_annotations(service: ServiceObject) -> str | None:
    for key, values in POD_IP_ANNOTATIONS.items():
        value = service.annotations.get(key)
        if value is None or (values and value not in values):
            continue
        return (
            f"the annotation {key} lets routers in front pick pods by themselves; a pod taken "
            "out would lose its live streams: use instance targets, or another Service for them"
        )
    return None


def _kind(spec: Mapping[str, Any]) -> str | None:
    if spec.get("type") == "ExternalName":
        return "ExternalName has no endpoints to choose from: use a ClusterIP"
    if spec.get("clusterIP") == "None":
        return "headless: clients pick pod addresses themselves: remove clusterIP: None"
    if not spec.get("selector"):
        return "it has no selector, so labels do not decide its endpoints: give it one"
    if spec.get("publishNotReadyAddresses"):
        return "publishNotReadyAddresses sends streams to pods that are not ready: turn it off"
    return None


def _pinned(spec: Mapping[str, Any]) -> str | None:
    label = next((key for key in ONE_REVISION if key in (spec.get("selector") or {})), None)
    if label is None:
        return None
    return (
        f"its selector has {label}, so it leads to some of the pods only, and closing these would "
        "leave it without an endpoint: select what all revisions share, or turn steering off"
    )


def _ports(spec: Mapping[str, Any]) -> str | None:
    ports = list(spec.get("ports") or [])
    if len(ports) == 1 and ports[0].get("targetPort") == CONTAINER_PORT_STREAMS:
        return None
    return (
        "a stream Service has exactly one port, with targetPort: "
        f"{CONTAINER_PORT_STREAMS}: other traffic would lose a pod that is closed for streams"
    )


def _affinity(spec: Mapping[str, Any]) -> str | None:
    if (spec.get("sessionAffinity") or "None") != "None":
        return "sessionAffinity brings clients back to the pod they left: set it to None"
    return None


def _locality(spec: Mapping[str, Any]) -> str | None:
    for field in ("externalTrafficPolicy", "internalTrafficPolicy"):
        if spec.get(field) == "Local":
            return f"{field}: Local opens the least loaded pod on one node only: use Cluster"
    if spec.get("trafficDistribution"):
        return "trafficDistribution opens the least loaded pod in one zone only: remove it"
    return None


def _pod_targets(spec: Mapping[str, Any]) -> str | None:
    if spec.get("type") == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is False:
        return (
            "without node ports its load balancer targets pod IPs, and a pod taken out would "
            "lose its live streams: set allocateLoadBalancerNodePorts: true"
        )
    return None


_CHECKS: Final[tuple[Check, ...]] = (_kind, _pinned, _ports, _affinity, _locality, _pod_targets)
