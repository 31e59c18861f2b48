"""What stands against a sidecar in this pod, each with the text of the fix; and what only warns.

A denial is for what would hurt: a pod that could not start, or whose streams would be lost
silently at the next rollout. Everything else is a warning, which `kubectl` prints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from tidegate.contract import kube, names
from tidegate.contract.drain_settings import DrainSettings
from tidegate.contract.settings import parse, variable
from tidegate.contract.sidecar import BACKPLANE_SCHEMES
from tidegate.injection.annotations import (
    HUB,
    KEYS_BY_SETTING,
    PASSED_ON,
    PROGRAMS,
    full_key,
)
from tidegate.injection.hooks import kept_hooks
from tidegate.injection.pods import (
    PodObject,
    grace_s,
    job_name,
    long_running,
    metadata_map,
    spec_list,
)
from tidegate.injection.quantities import parse_quantity
from tidegate.injection.requested import RequestedSettings
from tidegate.injection.resources import RESOURCES, amounts

PORT_KEYS: Final = ("port", "admin-port", "publish-port")

SHORT_WINDOW_S: Final = 10.0
"""Less than this for letting streams go deserves a warning."""

RING_FACTOR: Final = Decimal("1.5")
"""Memory of a ring over the bytes it holds: an entry is more than its text."""

PROCESS_BYTES: Final = 64 * 2**20
"""Memory of a sidecar that holds nothing."""

_SOME_BACKPLANE: Final = f"{BACKPLANE_SCHEMES[0]}://in-the-secret"
_NO_SIDECAR = f"or leave {kube.ANNOTATION_INJECT} out"

_BARE_POD: Final[PodObject] = {}

Check = Callable[[PodObject, RequestedSettings], str | None]


def denials(pod: PodObject, requested: RequestedSettings) -> list[str]:
    """Every reason not to start this pod as it is."""
    checks = (*_CHECKS, *(_HUB_CHECKS if requested.mode == HUB else ()))
    found = (check(pod, requested) for check in checks)
    return [sentence for sentence in found if sentence]


def contradictions(defaults: Mapping[str, str]) -> list[str]:
    """What a cluster's `defaults`, each allowed by itself, would do to a pod without settings of
    its own; each as a sentence.
    """
    requested = RequestedSettings({}, defaults)
    # As a pod's own they are taken at their word, and nothing gives way to anything.
    at_their_word = RequestedSettings(defaults, {})
    checks = (_contradictions(_BARE_POD, requested), _resources(_BARE_POD, at_their_word))
    warned = _ring_above_limit(_BARE_POD, requested)
    return [sentence for sentence in (*checks, warned) if sentence]


def warnings(pod: PodObject, requested: RequestedSettings) -> list[str]:
    """What the owner should know, although the pod starts."""
    checks = (*_WARNINGS, *(_HUB_WARNINGS if requested.mode == HUB else (_other_hooks,)))
    found = (check(pod, requested) for check in checks)
    return [sentence for sentence in found if sentence]


def ports(requested: RequestedSettings) -> list[tuple[str, int]]:
    """The program's ports by key; a proxy has nothing to publish."""
    keys = PORT_KEYS if requested.mode == HUB else PORT_KEYS[:2]
    return [(key, int(requested.text(key))) for key in keys]


def drain_times(pod: PodObject, requested: RequestedSettings) -> tuple[int, float]:
    """Grace and reserve of the injected pod, in seconds."""
    grace, asked = max(1, grace_s(pod)), requested.text("grace-s")
    if asked:
        # Only the pod's own annotation may shorten the pod's own time.
        grace = int(asked) if requested.is_own("grace-s") else max(grace, int(asked))
    reserve = requested.text("reserve-s")
    if reserve and (requested.is_own("reserve-s") or float(reserve) < grace):
        return grace, float(reserve)
    return grace, DrainSettings.usual_reserve_s(grace)


def sidecar_texts(pod: PodObject, requested: RequestedSettings) -> dict[str, str]:
    """The settings that the pod's sidecar is given, by name.

    Its times are the pod's, and its ports are those that the container declares.
    """
    grace, reserve = drain_times(pod, requested)
    numbers = {PASSED_ON[key].name: str(number) for key, number in ports(requested)}
    times = {"grace_s": str(grace), "reserve_s": f"{reserve:g}"}
    keys = {"auth_keys": kube.MOUNT_AUTH} if requested.text("auth-secret") else {}
    # The kubelet probes the pod's address, and loopback is the default.
    host = {"admin_host": requested.text("host")}
    upstream = {"upstream": f"http://127.0.0.1:{requested.text('upstream-port')}"}
    more = keys if requested.mode == HUB else upstream
    return {**requested.settings(), **numbers, **times, **more, **host}


def _host_network(pod: PodObject, _: RequestedSettings) -> str | None:
    if not (pod.get("spec") or {}).get("hostNetwork"):
        return None
    return (
        "the pod uses hostNetwork, where the sidecar's ports would be the node's: "
        f"remove hostNetwork, {_NO_SIDECAR}"
    )


def _windows(pod: PodObject, _: RequestedSettings) -> str | None:
    spec = pod.get("spec") or {}
    wanted = ((spec.get("os") or {}).get("name"), *_node_systems(spec))
    if "windows" not in wanted:
        return None
    return f"the pod runs on Windows, for which there is no sidecar: {_NO_SIDECAR[3:]}"


def _node_systems(spec: dict[str, Any]) -> Iterator[str | None]:
    selector = spec.get("nodeSelector") or {}
    yield selector.get("kubernetes.io/os")
    yield selector.get("beta.kubernetes.io/os")


def _port_clash(pod: PodObject, requested: RequestedSettings) -> str | None:
    taken = {number: name for name, number in _tcp_ports(pod)}
    for key, number in ports(requested):
        if number in taken:
            return (
                f"container {taken[number]} already has port {number}: "
                f"set {kube.KEY_PREFIX}{key} to a free one"
            )
    return None


def _tcp_ports(pod: PodObject) -> Iterator[tuple[str, int]]:
    for container in long_running(pod):
        for port in container.get("ports") or []:
            if port.get("protocol", "TCP") == "TCP":
                yield str(container.get("name")), int(port["containerPort"])


def _name_clash(pod: PodObject, _: RequestedSettings) -> str | None:
    containers = [*spec_list(pod, "containers"), *spec_list(pod, "initContainers")]
    if any(c.get("name") == kube.CONTAINER_SIDECAR for c in containers):
        return f"the pod has a container {kube.CONTAINER_SIDECAR} already: rename it"
    for name in (kube.VOLUME_OPERATOR, kube.VOLUME_AUTH):
        if any(v.get("name") == name for v in spec_list(pod, "volumes")):
            return f"the pod has a volume {name} already: rename it"
    for container in containers:
        for port in container.get("ports") or []:
            if port.get("name") in (kube.CONTAINER_PORT_STREAMS, kube.CONTAINER_PORT_ADMIN):
                return (
                    f"container {container.get('name')} has a port named {port['name']}, "
                    "by which Services find the sidecar: rename it"
                )
    return None


def _upstream(_: PodObject, requested: RequestedSettings) -> str | None:
    key, port = full_key("upstream-port"), requested.text("upstream-port")
    if requested.mode == HUB:
        told = requested.is_own("upstream-port")
        return f"{key} is for proxy mode: set {full_key('mode')}: proxy" if told else None
    if not port:
        return f"proxy mode needs {key}: the port on which the application listens"
    for own, number in ports(requested):
        if number == int(port):
            return f"{key} {port} is the sidecar's own {full_key(own)}: set that to a free port"
    if requested.is_own("auth-secret"):
        return f"{full_key('auth-secret')}: a proxy leaves authentication to the application"
    return None


def _backplane(_: PodObject, requested: RequestedSettings) -> str | None:
    if requested.text("backplane") or requested.text("backplane-secret"):
        return None
    return (
        "the cluster has no backplane, and without one pods do not share events: name one in the "
        f"chart's values (sidecar.backplane) or in {kube.KEY_PREFIX}backplane, or set "
        f"{kube.KEY_PREFIX}backplane: memory for an application of one pod"
    )


def _two_backplanes(_: PodObject, requested: RequestedSettings) -> str | None:
    if not (requested.is_own("backplane") and requested.is_own("backplane-secret")):
        return None
    prefix = kube.KEY_PREFIX
    return f"{prefix}backplane and {prefix}backplane-secret contradict each other: keep one"


def _contradictions(pod: PodObject, requested: RequestedSettings) -> str | None:
    """The sidecar would refuse these settings at its start, so the pod would never be ready."""
    texts = sidecar_texts(pod, requested)
    if requested.mode == HUB and requested.text("backplane-secret"):
        texts["backplane"] = _SOME_BACKPLANE
    _, problems = parse(PROGRAMS[requested.mode], texts)
    return "; ".join(" ".join(problem.worded(_spelled)) for problem in problems) or None


def _spelled(name: str) -> str:
    key = KEYS_BY_SETTING.get(name)
    return variable(name) if key is None else full_key(key)


def _resources(_: PodObject, requested: RequestedSettings) -> str | None:
    for resource in RESOURCES:
        request, limit = amounts(requested, resource)
        if limit and parse_quantity(request) > parse_quantity(limit):
            return (
                f"{kube.KEY_PREFIX}{resource}-request {request} is above "
                f"{kube.KEY_PREFIX}{resource}-limit {limit}: raise the limit"
            )
    return None


def _log_of_a_job(pod: PodObject, requested: RequestedSettings) -> str | None:
    """Each log reserves room in the store for good, and the next run has another."""
    job = job_name(pod)
    if job is None or requested.text("backplane-stream") or requested.text("backplane") == "memory":
        return None
    return (
        f"the pod belongs to Job {job}, and the next run would have another log: "
        f"name one in {kube.KEY_PREFIX}backplane-stream, {_NO_SIDECAR}"
    )


def _ring_above_limit(_: PodObject, requested: RequestedSettings) -> str | None:
    limit = amounts(requested, "memory")[1]
    ring = int(requested.text("ring-bytes"))
    if not limit or ring * RING_FACTOR + PROCESS_BYTES <= parse_quantity(limit):
        return None
    return (
        f"a ring of {ring >> 20} MiB does not fit into a memory limit of {limit}: "
        f"lower {kube.KEY_PREFIX}ring-bytes or raise {kube.KEY_PREFIX}memory-limit"
    )


def _not_steered(pod: PodObject, _: RequestedSettings) -> str | None:
    if names.LABEL_ADMIT in metadata_map(pod, "labels"):
        return None
    return (
        f'the pod template has no label {names.LABEL_ADMIT}: "true": '
        "streams drain evenly but are not steered to new pods"
    )


def _short_window(pod: PodObject, requested: RequestedSettings) -> str | None:
    grace, reserve = drain_times(pod, requested)
    if grace - reserve >= SHORT_WINDOW_S:
        return None
    return (
        f"a grace period of {grace} s leaves {grace - reserve:g} s to let streams go: "
        f"set {kube.KEY_PREFIX}grace-s"
    )


def _keys_without_use(_: PodObject, requested: RequestedSettings) -> str | None:
    if not requested.is_own("auth-secret") or requested.text("auth") == "jwt":
        return None
    return (
        f"{kube.KEY_PREFIX}auth-secret is set, but whatever reaches the streams may read them: "
        f'set {kube.KEY_PREFIX}auth: "jwt"'
    )


def _other_hooks(pod: PodObject, _: RequestedSettings) -> str | None:
    kept = [str(name) for name in kept_hooks(pod)]
    if not kept:
        return None
    return (
        f"container {', '.join(kept)} has a preStop hook of its own, which is kept: it must last "
        f"until the sidecar has drained, or call {names.PATH_DRAIN_APP} of the admin port"
    )


def _guaranteed(pod: PodObject, requested: RequestedSettings) -> str | None:
    if not all(_is_guaranteed(c) for c in [*long_running(pod), *spec_list(pod, "initContainers")]):
        return None
    if all(request == limit for request, limit in (amounts(requested, r) for r in RESOURCES)):
        return None
    return (
        "the pod's QoS class was Guaranteed and becomes Burstable: give the sidecar limits equal "
        f"to its requests ({kube.KEY_PREFIX}cpu-limit, {kube.KEY_PREFIX}memory-limit)"
    )


def _is_guaranteed(container: dict[str, Any]) -> bool:
    resources = container.get("resources") or {}
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    return all(limits.get(r) and requests.get(r, limits[r]) == limits[r] for r in RESOURCES)


_CHECKS: Final[tuple[Check, ...]] = (
    _host_network,
    _windows,
    _port_clash,
    _name_clash,
    _upstream,
    _contradictions,
    _resources,
)
_HUB_CHECKS: Final[tuple[Check, ...]] = (_backplane, _two_backplanes, _log_of_a_job)
_WARNINGS: Final[tuple[Check, ...]] = (_not_steered, _short_window, _guaranteed)
_HUB_WARNINGS: Final[tuple[Check, ...]] = (_keys_without_use, _ring_above_limit)
