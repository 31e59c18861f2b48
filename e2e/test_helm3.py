"""The chart under Helm 3: installed, rolled out with, uninstalled. All other tests use Helm 4."""

from __future__ import annotations

import asyncio
import os

import pytest
from tools.cache import cache_directory

from e2e.cluster.native.binaries import build_helm3
from e2e.cluster.progress import Progress
from e2e.cluster.provider import Cluster
from e2e.goals import ROLLBACK, missed, show
from e2e.installation import Installation, install, uninstall
from e2e.kubectl import Kubectl
from e2e.rollouts.happening import observed
from e2e.rollouts.rollout import replaced
from e2e.rollouts.stage import Audience, Stage, staged
from e2e.rollouts.workload import Workload
from tidegate.contract.names import LABEL_ADMIT

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def helm3(cluster: Cluster, kubectl: Kubectl) -> Kubectl:
    """The same cluster with Helm 3."""
    return Kubectl(cluster.kubeconfig, build_helm3(cache_directory(os.environ), Progress()))


async def test_helm_3_installs_and_uninstalls_the_chart(
    kubectl: Kubectl, helm3: Kubectl, installation: Installation
) -> None:
    """A rollout with what it has installed is not felt, and its hooks open every closed pod."""
    assert helm3.helm("version", "--template={{.Version}}").startswith("v3.")
    image = installation.images.sidecar.name
    workload = Workload(image=image, namespace="e2e-helm3", pods=3, min_ready_s=0)
    try:
        await asyncio.to_thread(uninstall, kubectl)
        await asyncio.to_thread(install, helm3, installation.images)
        async with staged(kubectl, workload, Audience(clients=200)) as stage:
            async with observed(kubectl, stage) as seen:
                await replaced(kubectl, stage)
            await asyncio.to_thread(_close_one, kubectl, installation, stage)
            await asyncio.to_thread(uninstall, helm3)
            where = f"--namespace={workload.namespace}"
            pods = await asyncio.to_thread(kubectl.items, "pods", where)
    finally:
        await asyncio.to_thread(install, kubectl, installation.images)
    show("installed with Helm 3", [seen.run])
    assert missed([seen.run], ROLLBACK) == []
    assert {pod["metadata"]["labels"][LABEL_ADMIT] for pod in pods} == {"true"}


def _close_one(kubectl: Kubectl, installation: Installation, stage: Stage) -> None:
    """A pod that only the uninstall hook can open again."""
    installation.scale("operator", 0)
    pod = stage.pods.alive()[0].name
    where = f"--namespace={stage.workload.namespace}"
    kubectl("label", "pod", pod, where, "--overwrite", f"{LABEL_ADMIT}=false")
