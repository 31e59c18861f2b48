"""Where the pods of a workload stand, and nodes that leave with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from e2e.cluster.provider import Cluster
from e2e.installation import NAMESPACE
from e2e.kubectl import Kubectl
from e2e.rollouts.workload import Workload

DRAIN_TIMEOUT_S = 150
READY_TIMEOUT_S = 90
COMMAND_S = 10.0
BROKER = "app.kubernetes.io/component=nats"


def node_to_lose(kubectl: Kubectl, cluster: Cluster) -> str:
    """A node without control plane, load clients and broker, whose absence is another test's."""
    pods = kubectl.items("pods", f"--namespace={NAMESPACE}", f"--selector={BROKER}")
    brokers = {pod["spec"]["nodeName"] for pod in pods}
    return next(node for node in cluster.nodes()[1:] if node not in brokers)


def pods_on(kubectl: Kubectl, workload: Workload, node: str) -> list[str]:
    """The names of the workload's pods on a node."""
    where = (f"--namespace={workload.namespace}", f"--selector={workload.selector}")
    pods = kubectl.items("pods", *where, f"--field-selector=spec.nodeName={node}")
    return [pod["metadata"]["name"] for pod in pods]


@asynccontextmanager
async def drained(kubectl: Kubectl, node: str) -> AsyncIterator[None]:
    """``kubectl drain``: in the block every pod has left; after it the node takes pods again."""
    words = ("--ignore-daemonsets", "--delete-emptydir-data", f"--timeout={DRAIN_TIMEOUT_S}s")
    try:
        await asyncio.to_thread(
            kubectl, "drain", node, *words, timeout_s=DRAIN_TIMEOUT_S + COMMAND_S
        )
        yield
    finally:
        await asyncio.to_thread(kubectl, "uncordon", node)


@asynccontextmanager
async def stopped(kubectl: Kubectl, cluster: Cluster, node: str) -> AsyncIterator[None]:
    """The node's processes are dead in the block; after it the node is Ready again."""
    await asyncio.to_thread(cluster.stop_node, node)
    try:
        yield
    finally:
        await asyncio.to_thread(cluster.start_node, node)
        ready = ("--for=condition=Ready", f"--timeout={READY_TIMEOUT_S}s")
        await asyncio.to_thread(kubectl, "wait", f"node/{node}", *ready)
