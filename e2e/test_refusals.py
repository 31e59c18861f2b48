"""A stream Service that must not be steered is left alone, and its owner is told what to change."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from e2e.api import KubeApi
from e2e.installation import Installation
from e2e.kubectl import Kubectl
from e2e.rollouts.workload import Workload
from tidegate.contract.kube import (
    API_GROUP,
    API_VERSION,
    KIND_DRAIN_POLICY,
    PLURAL_DRAIN_POLICY,
)
from tidegate.contract.names import LABEL_ADMIT

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

NAMESPACE = "e2e-refusals"
TOLD_WITHIN_S = 20.0
STREAMS = {"name": "sse", "port": 80, "targetPort": "tidegate-sse"}
METRICS = {"name": "metrics", "port": 81, "targetPort": "tidegate-admin"}
SERVICES: dict[str, tuple[dict[str, Any], dict[str, str], str]] = {
    "another port": ({"ports": [STREAMS, METRICS]}, {}, "exactly one port"),
    "headless": ({"clusterIP": "None"}, {}, "headless"),
    "ExternalName": ({"type": "ExternalName", "externalName": "a.example"}, {}, "ExternalName"),
    "not ready": ({"publishNotReadyAddresses": True}, {}, "publishNotReadyAddresses"),
    "affinity": ({"sessionAffinity": "ClientIP"}, {}, "sessionAffinity"),
    "internal": ({"internalTrafficPolicy": "Local"}, {}, "internalTrafficPolicy"),
    "external": (
        {"type": "NodePort", "externalTrafficPolicy": "Local"},
        {},
        "externalTrafficPolicy",
    ),
    "zone": ({"trafficDistribution": "PreferSameZone"}, {}, "trafficDistribution"),
    "no node ports": (
        {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False},
        {},
        "allocateLoadBalancerNodePorts",
    ),
    "pod targets": (
        {"type": "LoadBalancer"},
        {"service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": "ip"},
        "instance targets",
    ),
    "no selector": ({"selector": None}, {}, "no stream Service selects"),
}


async def test_each_is_refused_with_its_fix(kubectl: Kubectl, installation: Installation) -> None:
    """The words stand in the policy's status and in an Event, and no pod is ever closed."""
    workload = _workload(installation)
    async with _deployed(kubectl, workload) as api:
        await _until_told(api, workload, None)
        for name, (spec, annotations, words) in SERVICES.items():
            await _replace(kubectl, workload, spec, annotations)
            refusal = await _until_told(api, workload, words)
            await _until_event(api, workload, words)
            print(f"{name}: {refusal}")
        await _replace(kubectl, workload, {}, {})
        await _until_told(api, workload, None)
        assert await _admitted(api, workload) == {"true"}


async def test_workloads_that_cannot_be_steered_are_refused(
    kubectl: Kubectl, installation: Installation
) -> None:
    """The label among the Deployment's own selectors, or missing in its template."""
    for namespace, words, change in (
        ("e2e-refusals-selector", "matchLabels", _label_in_selector),
        ("e2e-refusals-template", "template lacks", _label_not_in_template),
    ):
        workload = _workload(installation, namespace)
        documents = workload.documents()
        change(next(d for d in documents if d["kind"] == "Deployment"))
        async with _deployed(kubectl, workload, documents) as api:
            print(await _until_told(api, workload, words))


@pytest.mark.counterproof
async def test_nobody_is_told_where_nobody_wants_to_steer(
    kubectl: Kubectl, installation: Installation
) -> None:
    """The checks off, by the policy: a Service that must not be steered passes for a good one."""
    workload = _workload(installation, "e2e-refusals-off")
    documents = workload.documents()
    policy = next(d for d in documents if d["kind"] == KIND_DRAIN_POLICY)
    policy["spec"]["steering"] = "Disabled"
    streams = next(d for d in documents if d["metadata"]["name"] == workload.stream_service_name)
    spec, _, words = SERVICES["another port"]
    streams["spec"] |= spec
    async with _deployed(kubectl, workload, documents) as api:
        assert await _until_told(api, workload, None) == ""
        with pytest.raises(TimeoutError):
            await _until_event(api, workload, words)


def _label_in_selector(deployment: dict[str, Any]) -> None:
    deployment["spec"]["selector"]["matchLabels"][LABEL_ADMIT] = "true"


def _label_not_in_template(deployment: dict[str, Any]) -> None:
    del deployment["spec"]["template"]["metadata"]["labels"][LABEL_ADMIT]


def _workload(installation: Installation, namespace: str = NAMESPACE) -> Workload:
    image = installation.images.sidecar.name
    return Workload(image=image, namespace=namespace, pods=1, min_ready_s=0)


@asynccontextmanager
async def _deployed(
    kubectl: Kubectl, workload: Workload, documents: list[dict[str, Any]] | None = None
) -> AsyncIterator[KubeApi]:
    namespace = {"apiVersion": "v1", "kind": "Namespace"}
    kubectl.apply({**namespace, "metadata": {"name": workload.namespace}})
    kubectl.apply(*(documents or workload.documents()))
    api = KubeApi(kubectl.kubeconfig)
    try:
        yield api
    finally:
        await api.close()
        kubectl("delete", "namespace", workload.namespace, "--wait=false")


async def _replace(
    kubectl: Kubectl, workload: Workload, spec: dict[str, Any], annotations: dict[str, str]
) -> None:
    """A Service's kind cannot be changed freely, so it is made anew."""
    service = workload.services()[0]
    service["spec"] |= {key: value for key, value in spec.items() if value is not None}
    for key in [key for key, value in spec.items() if value is None]:
        del service["spec"][key]
    service["metadata"]["annotations"] = annotations
    where = f"--namespace={workload.namespace}"
    name = workload.stream_service_name
    await asyncio.to_thread(kubectl, "delete", "service", name, where)
    text = json.dumps(service)
    await asyncio.to_thread(lambda: kubectl("create", "--filename=-", stdin=text))


async def _until_told(api: KubeApi, workload: Workload, words: str | None) -> str:
    """Until the policy's status refuses with these words, or (``None``) steers."""
    group = f"/apis/{API_GROUP}/{API_VERSION}/namespaces/{workload.namespace}"
    path = f"{group}/{PLURAL_DRAIN_POLICY}/{workload.name}"
    seen: Any = None
    async with asyncio.timeout(TOLD_WITHIN_S * 2):
        while True:
            policy = await api.get(path)
            seen = policy.get("status", {}).get("workloads", [])
            refusals = [one.get("refusal") for one in seen]
            if words is None and refusals == [None]:
                return ""
            for refusal in refusals:
                if words is not None and words in (refusal or ""):
                    return str(refusal)
            await asyncio.sleep(0.2)


async def _until_event(api: KubeApi, workload: Workload, words: str) -> None:
    path = f"/apis/events.k8s.io/v1/namespaces/{workload.namespace}/events"
    async with asyncio.timeout(TOLD_WITHIN_S):
        while True:
            events = (await api.get(path))["items"]
            if any(words in e.get("note", "") and e["type"] == "Warning" for e in events):
                return
            await asyncio.sleep(0.2)


async def _admitted(api: KubeApi, workload: Workload) -> set[str]:
    pods = await api.get(f"/api/v1/namespaces/{workload.namespace}/pods")
    return {pod["metadata"]["labels"].get(LABEL_ADMIT, "") for pod in pods["items"]}
