"""One leads: taking, losing and giving back the Lease, and the label that goes with it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from kit.waiting import until
from operator_kube.fake_api import FakeApi

from tidegate.contract.kube import LABEL_LEADER
from tidegate_kubernetes.api import ApiError
from tidegate_operator.kube.election import Election, LeadershipLostError, leases
from tidegate_operator.kube.fence import Fence
from tidegate_operator.kube.settings import LeaseSettings

SETTINGS = LeaseSettings("tidegate-operator", 3)
LEASE = f"{leases('tidegate')}/tidegate-operator"
PODS = "/api/v1/namespaces/tidegate/pods"


class Candidate:
    def __init__(self, api: FakeApi, name: str) -> None:
        self.fence = Fence(SETTINGS.duration_s)
        self.election = Election(api, api, SETTINGS, "tidegate", name, name, self.fence)
        self.led = asyncio.Event()
        self.running = asyncio.create_task(self.election.run(self.led.set))


@contextlib.asynccontextmanager
async def candidate(api: FakeApi, name: str) -> AsyncIterator[Candidate]:
    api.objects.setdefault(f"{PODS}/{name}", {"metadata": {"name": name, "labels": {}}})
    one = Candidate(api, name)
    try:
        yield one
    finally:
        one.running.cancel()
        await asyncio.gather(one.running, return_exceptions=True)


async def test_the_first_makes_the_lease_and_the_second_waits() -> None:
    api = FakeApi()
    async with candidate(api, "a") as a:
        await until(a.led.is_set)
        spec = api.objects[LEASE]["spec"]
        assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == ("a", 3)
        assert spec["renewTime"].endswith("Z")
        async with candidate(api, "b") as b:
            renewed = api.objects[LEASE]["metadata"]["resourceVersion"]
            await until(lambda: api.objects[LEASE]["metadata"]["resourceVersion"] != renewed)
            assert not b.led.is_set()
            await a.election.resign()
            a.running.cancel()
            await until(b.led.is_set)
            assert api.objects[LEASE]["spec"]["leaseTransitions"] >= 2


async def test_who_cannot_renew_stops_before_the_lease_runs_out() -> None:
    api = FakeApi()

    def refuse(method: str, path: str) -> None:
        if path.startswith(leases("tidegate")):
            raise ApiError(0, "no answer")

    async with candidate(api, "a") as a:
        await until(a.led.is_set)
        lost_s = asyncio.get_running_loop().time()
        api.refuse = refuse
        with pytest.raises(LeadershipLostError):
            await asyncio.wait_for(asyncio.shield(a.running), 5)
        assert asyncio.get_running_loop().time() - lost_s <= SETTINGS.duration_s + 0.5


async def test_the_leader_takes_the_label_from_everybody_else() -> None:
    api = FakeApi()
    for name in ("a", "b"):
        meta = {"name": name, "labels": {LABEL_LEADER: "true", "app": "x"}}
        api.objects[f"{PODS}/{name}"] = {"metadata": meta}
    api.objects[PODS] = {"items": [api.objects[f"{PODS}/a"]]}
    async with candidate(api, "b") as b:
        await until(b.led.is_set)
        await b.election.mark_leader()
        labels = {n: api.objects[f"{PODS}/{n}"]["metadata"]["labels"] for n in ("a", "b")}
        assert labels == {"a": {"app": "x"}, "b": {"app": "x", LABEL_LEADER: "true"}}
        await b.election.resign()
        assert not b.fence.holds()
        assert api.objects[f"{PODS}/b"]["metadata"]["labels"] == {"app": "x"}
        assert api.objects[LEASE]["spec"]["holderIdentity"] == ""


async def test_a_label_that_could_not_be_written_is_tried_again() -> None:
    """Without it the Service leads nowhere: no report would ever come."""
    api = FakeApi()
    async with candidate(api, "a") as a:
        await until(a.led.is_set)
        refused: list[str] = []

        def refuse(method: str, path: str) -> None:
            if (method, path) == ("PATCH", f"{PODS}/a") and len(refused) < 2:
                refused.append(path)
                raise ApiError(0, "no answer")

        api.refuse = refuse
        api.objects[PODS] = {"items": []}
        marking = asyncio.create_task(a.election.stay_marked())

        def is_marked() -> bool:
            labels = api.objects[f"{PODS}/a"]["metadata"]["labels"]
            return bool(labels.get(LABEL_LEADER) == "true")

        await until(is_marked)
        marking.cancel()
        assert len(refused) == 2


async def test_a_lease_that_is_anothers_by_now_is_not_given_back() -> None:
    api = FakeApi()
    async with candidate(api, "a") as a:
        await until(a.led.is_set)
        api.objects[LEASE]["spec"]["holderIdentity"] = "b"
        await a.election.resign()
        assert api.objects[LEASE]["spec"]["holderIdentity"] == "b"


async def test_a_lease_in_another_name_ends_leadership_at_once_and_the_label_is_given_back() -> (
    None
):
    api = FakeApi()
    async with candidate(api, "a") as a:
        await until(a.led.is_set)
        api.objects[f"{PODS}/a"]["metadata"]["labels"][LABEL_LEADER] = "true"
        api.objects[LEASE]["spec"]["holderIdentity"] = "b"
        with pytest.raises(LeadershipLostError, match="held by b"):
            await asyncio.wait_for(asyncio.shield(a.running), SETTINGS.retry_s + 1.0)
        assert not a.fence.holds()
        assert api.objects[f"{PODS}/a"]["metadata"]["labels"] == {}


async def test_the_label_is_not_taken_without_the_lease() -> None:
    """A leader that was stopped wakes up here as well as in a renewal."""
    api = FakeApi()
    for name in ("a", "b"):
        meta = {"name": name, "labels": {LABEL_LEADER: "true"} if name == "b" else {}}
        api.objects[f"{PODS}/{name}"] = {"metadata": meta}
    api.objects[PODS] = {"items": [api.objects[f"{PODS}/b"]]}
    async with candidate(api, "a") as a:
        await until(a.led.is_set)
        api.objects[LEASE]["spec"]["holderIdentity"] = "b"
        with pytest.raises(LeadershipLostError):
            await a.election.stay_marked()
        labels = {n: api.objects[f"{PODS}/{n}"]["metadata"]["labels"] for n in ("a", "b")}
        assert labels == {"a": {}, "b": {LABEL_LEADER: "true"}}


async def test_the_label_is_not_taken_while_the_lease_cannot_be_read() -> None:
    api = FakeApi()
    async with candidate(api, "a") as a:
        await until(a.led.is_set)

        def refuse(method: str, path: str) -> None:
            if path == LEASE:
                raise ApiError(0, "no answer")

        api.refuse = refuse
        assert not await a.election.mark_leader()
        assert LABEL_LEADER not in api.objects[f"{PODS}/a"]["metadata"]["labels"]


@pytest.mark.parametrize("duration_s", [3, 10, 15, 600])
def test_the_times_of_a_lease_fit_together(duration_s: int) -> None:
    times = LeaseSettings("x", duration_s)
    assert times.retry_s * 1.2 < times.renew_deadline_s < duration_s
    assert times.renew_deadline_s + 2 * times.call_timeout_s <= duration_s + 1e-9
