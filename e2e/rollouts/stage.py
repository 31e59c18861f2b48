"""Clients, publisher and watches around one workload on a cluster, and what they have seen.

The load clients are the lab's: EventSources that check every event, in a process of their own. They
connect to the stream Service's ClusterIP from the node's network, so that kube-proxy's rules decide
where each lands. Publishes go through the application's Service, as another back end's would.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from e2e.api import EndpointWatch, KubeApi, PodWatch
from e2e.cluster.progress import Progress
from e2e.cluster.provider import ClusterError
from e2e.kubectl import Kubectl
from e2e.rollouts.workload import Workload
from tidegate.score.observe import BACK_AT_MOST_S, CALM_S, is_over, score
from tidegate.score.scorecard import Run
from tidegate_lab.door import SYNC_PERIOD_S, Endpoint, Forwarder, FrontDoor
from tidegate_lab.load.driver import LoadDriver
from tidegate_lab.load.observed import observations
from tidegate_lab.load.population import audiences, population
from tidegate_lab.load.tally import Window
from tidegate_lab.processes import ProcessGroup
from tidegate_lab.publisher import Publisher

LOOPBACK = "127.0.0.1"
SERVICE_PORT = 80
CONNECTS_PER_S = 250.0
CONNECT_TIMEOUT_S = 60.0
PUBLISHED_PER_S = 20.0
HANDOVER_SHARE = 0.10
SHOWN_EVENTS = 10
_LOOK_S = 0.1


Router = Callable[[ProcessGroup, Endpoint], Awaitable[Endpoint]]
"""Starts something in front of an endpoint; returns where it listens."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Who listens: how many clients, the share that hands over, and the seed of it all."""

    clients: int = 500
    handover_share: float = HANDOVER_SHARE
    seed: int = 1


@dataclass(slots=True)
class Stage:
    """A workload under load. Times are monotonic seconds."""

    workload: Workload
    audience: Audience
    pods: PodWatch
    endpoints: EndpointWatch
    load: LoadDriver
    publisher: Publisher
    background: list[asyncio.Task[None]]
    progress: Progress
    calm: Window | None = None
    result: dict[str, Any] | None = None

    async def until(self, phase: str, holds: Callable[[], bool], timeout_s: float) -> None:
        """Wait for a condition; raises `ClusterError` if it takes too long, or what failed."""
        give_up_s = time.monotonic() + timeout_s
        while not holds():
            for task in self.background:
                if task.done():
                    task.result()
            if time.monotonic() > give_up_s:
                raise ClusterError(f"{phase}: not within {timeout_s:.0f} s; {self.standing()}")
            await asyncio.sleep(_LOOK_S)
        self.progress.done(f"{phase}: {self.standing()}")

    def standing(self) -> str:
        """Where the streams are, in a line."""
        seen = self.load.progress
        spread = ", ".join(f"{pod[-5:]} {n}" for pod, n in sorted(seen.streams.items()) if n)
        return f"{seen.connected} streams ({spread}), moves {seen.moves}, cuts {seen.cuts}"

    async def fill(self) -> None:
        """Let every client connect and the fleet come to rest; the end of that rest is the calm."""
        everyone = self.audience.clients
        await self.load.connect(CONNECTS_PER_S)
        connected = "clients connect"
        await self.until(
            connected, lambda: self.load.progress.connected >= everyone, CONNECT_TIMEOUT_S
        )
        await self.settle()
        await self.load.mark()
        rested_s = time.monotonic()
        self.calm = Window(rested_s - CALM_S, rested_s)

    async def settle(self) -> None:
        """Until every client is back and nothing has moved for a while, counted from now on.

        A pod on its way out is not at rest, even if its last stream has left it long ago.
        """
        over_s = time.monotonic()

        def settled() -> bool:
            seen = self.load.progress
            back = seen.connected + seen.dead >= self.audience.clients
            return is_over(time.monotonic(), over_s, seen.stirred_s, all_back=back)

        await self.until("settled", settled, BACK_AT_MOST_S + 5)

    async def finish(self, since_s: float) -> dict[str, Any]:
        """Check every event of every client; returns all that the clients saw."""
        assert self.calm is not None
        span = Window(since_s, time.monotonic())
        self.result = await self.load.finish(self.publisher.ledger, self.calm, span)
        self.progress.done(
            f"the clients' own process was late by up to {self.result['late_s']:.2f} s"
        )
        if self.result["failures"]:
            self.progress.done(f"failed connects: {self.result['failures']}")
        return self.result

    def run(self, started_s: float, new_revision: str) -> Run:
        """The scorecard of what has happened since `started_s`; `finish` must have been called."""
        result = self.result
        assert result is not None
        pods = self.pods.seen.values()
        seen = observations(
            result,
            pods=self.workload.pods,
            budget_per_s=self.workload.budget_per_s,
            started_s=started_s,
            live_pods=[pod.name for pod in self.pods.alive()],
            new_pods=[pod.name for pod in pods if pod.revision == new_revision],
        )
        mode = self.workload.mode
        return Run(mode, "cluster", seen.pods, seen.clients, seen.budget_per_s, score(seen))


@asynccontextmanager
async def staged(
    kubectl: Kubectl, workload: Workload, audience: Audience, router: Router | None = None
) -> AsyncIterator[Stage]:
    """The workload is deployed and ready, its clients wait to connect, the publisher publishes.

    With a `router` the clients connect to that, and it to the stream Service. Everything is gone
    after the block, the namespace, too. The calling thread must be inside the cluster's network.
    """
    progress = Progress()
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(_delete, kubectl, workload)
        await asyncio.to_thread(_deploy, kubectl, workload)
        progress.done(f"{workload.mode}: {workload.pods} pods are ready")
        api = KubeApi(kubectl.kubeconfig)
        stack.push_async_callback(api.close)
        process_group = await stack.enter_async_context(ProcessGroup())
        load = await LoadDriver.start(
            process_group, "load", audience.clients, audience.handover_share, audience.seed
        )
        stack.push_async_callback(load.stop)
        namespace = f"/api/v1/namespaces/{workload.namespace}/services"
        streams = await _cluster_ip(api, f"{namespace}/{workload.stream_service_name}")
        await _until_routed(streams)
        front = Endpoint(workload.stream_service_name, streams, SERVICE_PORT)
        await load.sync([front if router is None else await router(process_group, front)])
        application = await _cluster_ip(api, f"{namespace}/{workload.name}")
        publisher = await _publisher(stack, application, workload, audience)
        pods = PodWatch(api, workload.namespace, workload.selector)
        endpoints = EndpointWatch(api, workload.namespace, workload.stream_service_name)
        background = [asyncio.create_task(w.run()) for w in (pods, endpoints, publisher)]
        stack.push_async_callback(_cancel, background)
        yield Stage(workload, audience, pods, endpoints, load, publisher, background, progress)


async def _publisher(
    stack: contextlib.AsyncExitStack, address: str, workload: Workload, audience: Audience
) -> Publisher:
    """A publisher that reaches the application's Service over a loopback port."""
    door = FrontDoor(audience.seed)
    door.apply([Endpoint(workload.name, address, SERVICE_PORT)])
    forwarder = Forwarder(door)
    port = await forwarder.start(LOOPBACK, 0)
    stack.push_async_callback(forwarder.stop)
    people = population(audience.clients, audience.handover_share, audience.seed)
    to = audiences(people, audience.seed)
    name = f"{workload.mode}-{time.time_ns()}"
    return Publisher(lambda: [port], to, PUBLISHED_PER_S, name)


def _deploy(kubectl: Kubectl, workload: Workload) -> None:
    kubectl("delete", "namespace", workload.namespace, "--ignore-not-found", "--wait=true")
    namespace = {"apiVersion": "v1", "kind": "Namespace"}
    kubectl.apply({**namespace, "metadata": {"name": workload.namespace}})
    kubectl.apply(*workload.documents())
    where = f"--namespace={workload.namespace}"
    try:
        kubectl("rollout", "status", workload.reference, where, "--timeout=100s")
    except ClusterError as error:
        events = kubectl("get", "events", where, "--sort-by=.lastTimestamp").splitlines()
        raise ClusterError("\n".join([str(error), *events[-SHOWN_EVENTS:]])) from error


def _delete(kubectl: Kubectl, workload: Workload) -> None:
    """At once: whoever waits for streams to drain here has nothing to learn from it."""
    where = f"--namespace={workload.namespace}"
    kubectl("delete", workload.reference, where, "--ignore-not-found", "--wait=false")
    kubectl("delete", "pods", "--all", where, "--grace-period=1", "--wait=true")
    kubectl("delete", "namespace", workload.namespace, "--ignore-not-found", "--wait=false")


async def _cluster_ip(api: KubeApi, path: str) -> str:
    service = await api.get(path)
    address: str = service["spec"]["clusterIP"]
    return address


async def _until_routed(address: str) -> None:
    """Until the routers know every pod that is ready: kube-proxy takes changes up once a second.

    Which pods it knows cannot be asked, so after the first accepted connection one period passes.
    """
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        while True:
            try:
                _, writer = await asyncio.open_connection(address, SERVICE_PORT)
            except OSError:
                await asyncio.sleep(_LOOK_S)
                continue
            writer.close()
            break
    await asyncio.sleep(SYNC_PERIOD_S)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
