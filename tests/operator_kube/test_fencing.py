"""A leader that was stopped and goes on writes nothing before it has seen the Lease again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from kit.clocks import Clock
from kit.waiting import until
from operator_kube.desk import Desk
from operator_kube.fake_api import FakeApi
from operator_kube.kube_world import NEW, OLD, reported
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tidegate.contract.kube import LABEL_LEADER
from tidegate.contract.report import Plan
from tidegate.rollout.memory import Memory
from tidegate.rollout.plan import Decision
from tidegate.rollout.snapshot import (
    Action,
    Note,
    Policy,
    SetAdmit,
    SetDeletionCost,
    SetPlan,
    Snapshot,
)
from tidegate_kubernetes.api import ApiError
from tidegate_operator.kube.cluster import KubernetesCluster
from tidegate_operator.kube.events import EventWriter
from tidegate_operator.kube.fence import Fence, FencedApi, NotLeadingError
from tidegate_operator.kube.identity import Identities
from tidegate_operator.kube.listeners import leader_only
from tidegate_operator.kube.status.writer import StatusWriter
from tidegate_operator.meters import Meters
from tidegate_operator.reconcile import Reconciler
from tidegate_operator.report_api import report_app
from tidegate_operator.reports import PodPlan, ReportBook
from tidegate_process.limits import PortLimits
from tidegate_process.listeners import bind
from tidegate_process.ports import Port
from tidegate_process.serving import Server

LEASE_S = 10.0
WRITER = Path(__file__).parent / "fenced_writer.py"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fence(clock: Clock) -> Fence:
    made = Fence(LEASE_S, clock)
    made.renewed(clock())
    return made


def test_the_right_to_write_ends_one_lease_duration_after_the_last_renewal_was_sent(
    clock: Clock,
) -> None:
    fence = Fence(LEASE_S, clock)
    assert (fence.taken, fence.left_s()) == (False, 0.0)
    fence.renewed(clock.now - 1.0)
    assert fence.left_s() == 9.0
    clock.now += 8.9
    assert fence.holds()
    fence.renewed(clock())
    clock.now += LEASE_S
    assert not fence.holds()


def test_a_lapse_is_final(fence: Fence, clock: Clock) -> None:
    """What the process knows is as old as the lapse: it ends, and starts anew."""
    clock.now += LEASE_S
    assert not fence.holds()
    fence.renewed(clock())
    assert not fence.holds()


async def test_every_kind_of_write_is_refused_and_reads_pass(fence: Fence, clock: Clock) -> None:
    api = FakeApi()
    api.objects["/x"] = {"metadata": {"name": "x"}}
    fenced = FencedApi(api, fence)
    await fenced.merge("/x", {"metadata": {"labels": {}}})
    clock.now += 25.0
    api.calls.clear()
    body: dict[str, Any] = {"metadata": {"name": "y"}}
    for write in (
        fenced.post("/y", body), fenced.put("/x", body), fenced.merge("/x", body),
        fenced.patch("/x", []),
    ):  # fmt: skip
        with pytest.raises(NotLeadingError):
            await write
    assert (await fenced.get("/x"))["metadata"]["name"] == "x"
    assert api.calls == [("GET", "/x")]


@pytest.mark.virtual_time
async def test_a_write_that_waits_when_the_lease_runs_out_is_given_up() -> None:
    """For a connection, say: it must not be sent afterwards."""
    sent = []

    class Slow(FakeApi):
        async def merge(self, path: str, body: object) -> dict[str, Any]:
            await asyncio.sleep(4.0)
            sent.append(path)
            return {}

    loop = asyncio.get_running_loop()
    fence = Fence(3.0, loop.time)
    fence.renewed(loop.time())
    with pytest.raises(NotLeadingError):
        await FencedApi(Slow(), fence).merge("/x", {})
    assert sent == []


class Stopped:
    """An operator's writers over the recorded rollout, all behind one fence."""

    def __init__(self, fence: Fence, clock: Clock) -> None:
        self.desk = Desk()
        self.api = self.desk.api
        fenced = FencedApi(self.api, fence)
        meters = Meters()
        self.cluster = KubernetesCluster(
            self.desk.store,
            fenced,
            Policy(),
            Identities(self.api, lambda uid: True, clock),
            EventWriter(fenced, "operator-0", lambda: self.desk.now_s),
            lambda: self.desk.now_s,
            meters,
        )
        self.book = ReportBook(clock)
        old, new = (self.desk.world.pod(r)["metadata"]["uid"] for r in (OLD, NEW))
        actions = (
            SetAdmit(old, False),
            SetDeletionCost(old, 7),
            Note("default/Deployment/shop", "Why", "so", True),
            SetPlan(new, Plan("wait")),
        )
        self.reconciler = Reconciler(self.cluster, self.book, clock, meters, planner(actions))
        self.status = StatusWriter(
            fenced, self.cluster, self.book, lambda: self.desk.now_s, clock, meters=meters
        )

    async def act(self) -> list[str]:
        """One look of each; returns the methods of all writes."""
        self.api.calls.clear()
        await self.reconciler.look_once()
        self.status.observe()
        await self.status.advise()
        await self.status.write()
        return [method for method, _ in self.api.calls if method != "GET"]


def planner(actions: tuple[Action, ...]) -> Any:
    def plan(snapshot: Snapshot, policy: Policy, now: float, memory: Memory) -> Decision:
        return Decision(actions, 5.0, memory)

    return plan


async def test_a_leader_that_was_stopped_for_25_s_wakes_and_writes_nothing(
    fence: Fence, clock: Clock
) -> None:
    stopped = Stopped(fence, clock)
    assert set(await stopped.act()) == {"PATCH", "POST"}
    clock.now += 25.0
    assert await stopped.act() == []
    fence.renewed(clock())
    assert await stopped.act() == [], "what it would write is 25 s old"


async def test_a_plan_that_was_held_over_a_stop_is_not_sent(fence: Fence, clock: Clock) -> None:
    class Known:
        async def identify(self, token: str) -> str | None:
            return "a"

    book = ReportBook(clock)
    app = leader_only(report_app(Known(), book, Meters()), fence.holds)  # type: ignore[arg-type]
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://operator") as client:
        posted = asyncio.create_task(
            client.post(
                "/v1/report",
                json=reported("a", 10).to_json(),
                headers={"Authorization": "Bearer t"},
            )
        )
        await until(lambda: book.latest("a") is not None)
        clock.now += 25.0
        book.decide("a", PodPlan(plan=Plan("drain", rate_per_s=50.0)))
        answer = await posted
    assert (answer.status_code, answer.json()["error"]) == (503, "not_leading")
    assert answer.headers["connection"] == "close"


class LeaseServer:
    """A Lease and two pods over HTTP, and every write that came."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.writes: list[tuple[str, str]] = []

    async def answer(self, request: Request) -> JSONResponse:
        path, method = request.url.path, request.method
        if method != "GET":
            self.writes.append((method, path))
        try:
            if method == "GET":
                return JSONResponse(await self.api.get(path))
            body = await request.json()
            write = {"POST": self.api.post, "PUT": self.api.put, "PATCH": self.api.merge}[method]
            return JSONResponse(await write(path, body))
        except ApiError as error:
            return JSONResponse({"message": str(error)}, status_code=error.status)


@pytest.fixture
async def leases() -> AsyncIterator[tuple[LeaseServer, int]]:
    seen = LeaseServer()
    route = Route("/{rest:path}", seen.answer, methods=["GET", "POST", "PUT", "PATCH"])
    port = Port("lease", PortLimits(connections=64), asyncio.get_running_loop().time)
    server = Server(Starlette(routes=[route]), bind("127.0.0.1", 0, "PORT"), port)
    number = await server.start()
    yield seen, number
    await server.stop()


async def test_a_process_that_was_stopped_for_longer_than_its_lease_writes_nothing_first(
    leases: tuple[LeaseServer, int],
) -> None:
    """A real process, really stopped: in the middle of whatever it was writing."""
    seen, port = leases
    pods = "/api/v1/namespaces/tidegate/pods"
    seen.api.objects[f"{pods}/a"] = {"metadata": {"name": "a", "labels": {}}}
    lease = "/apis/coordination.k8s.io/v1/namespaces/tidegate/leases/tidegate-operator"
    process = await asyncio.create_subprocess_exec(sys.executable, str(WRITER), str(port), "3")
    try:
        await until(lambda: seen.writes.count(("PATCH", f"{pods}/a")) > 3)
        os.kill(process.pid, signal.SIGSTOP)
        await asyncio.sleep(0.2)  # what it had sent already is answered
        seen.api.objects[lease]["spec"]["holderIdentity"] = "b"
        seen.api.objects[f"{pods}/a"]["metadata"]["labels"][LABEL_LEADER] = "true"
        await asyncio.sleep(3.1)
        seen.writes.clear()
        os.kill(process.pid, signal.SIGCONT)
        status = await asyncio.wait_for(process.wait(), 30)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert status == 3, "it ends by the loss of its Lease"
    # Its label, given back; and, at most, the one write that it was handing to the kernel.
    assert len(seen.writes) in (1, 2), seen.writes
    assert set(seen.writes) == {("PATCH", f"{pods}/a")}
    assert LABEL_LEADER not in seen.api.objects[f"{pods}/a"]["metadata"]["labels"]
