"""Without an injector annotated pods wait, and everybody else's start."""

from __future__ import annotations

from dataclasses import replace

import pytest

from e2e.cluster.commands import wait_until
from e2e.installation import Installation
from e2e.kubectl import Kubectl
from e2e.rollouts.workload import Workload
from tidegate.contract.kube import ANNOTATION_INJECT, CONTAINER_SIDECAR

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

NAMESPACE = "e2e-no-injector"
WHERE = f"--namespace={NAMESPACE}"
BACK_WITHIN_S = 60


def test_only_annotated_pods_wait(kubectl: Kubectl, installation: Installation) -> None:
    """They come up with their sidecar as soon as an injector is there again."""
    image = installation.images.sidecar.name
    annotated = Workload(image=image, name="annotated", namespace=NAMESPACE, pods=1, min_ready_s=0)
    plain = replace(annotated, name="plain", annotations={ANNOTATION_INJECT: "false"})
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    installation.scale("injector", 0)
    try:
        kubectl.apply(annotated.config(), annotated.deployment())
        kubectl.apply(plain.config(), plain.deployment())
        kubectl("rollout", "status", "deployment/plain", WHERE, "--timeout=60s")
        wait_until("the refusal", lambda: "FailedCreate" in kubectl("get", "events", WHERE))
        assert kubectl.items("pods", WHERE, f"--selector={annotated.selector}") == []
        assert kubectl.items("deployments", WHERE) != []
    finally:
        installation.scale("injector", 2)
    try:
        patience = f"--timeout={BACK_WITHIN_S}s"
        kubectl("rollout", "status", "deployment/annotated", WHERE, patience)
        pods = kubectl.items("pods", WHERE)
        injected = {
            pod["metadata"]["labels"]["app"]: [c["name"] for c in containers(pod)] for pod in pods
        }
        assert injected == {"annotated": [CONTAINER_SIDECAR], "plain": []}
    finally:
        kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.mark.counterproof
def test_where_failures_are_ignored_annotated_pods_start_without_a_sidecar(
    kubectl: Kubectl, installation: Installation
) -> None:
    """With `injector.failurePolicy=Ignore` nobody waits, and the stream Service stays empty."""
    image = installation.images.sidecar.name
    workload = Workload(image=image, namespace="e2e-ignored", pods=1, min_ready_s=0)
    where = f"--namespace={workload.namespace}"
    namespace = {"apiVersion": "v1", "kind": "Namespace"}
    with installation.changed("injector.failurePolicy=Ignore"):
        installation.scale("injector", 0)
        try:
            kubectl.apply({**namespace, "metadata": {"name": workload.namespace}})
            kubectl.apply(workload.config(), workload.deployment())
            kubectl("rollout", "status", f"deployment/{workload.name}", where, "--timeout=60s")
            pods = kubectl.items("pods", where)
        finally:
            kubectl("delete", "namespace", workload.namespace, "--ignore-not-found", "--wait=false")
            installation.scale("injector", 2)
    started = [[c["name"] for c in containers(pod)] for pod in pods]
    print(f"(i) failures ignored: {len(started)} annotated pod started, sidecars: {started[0]}")
    assert started == [[]]


def containers(pod: dict[str, dict[str, list[dict[str, str]]]]) -> list[dict[str, str]]:
    """The init containers, native sidecars among them."""
    return pod["spec"].get("initContainers", [])
