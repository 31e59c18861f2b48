"""A dead watch is found out, ghosts are dropped, silence proves nothing."""

from __future__ import annotations

import asyncio

import pytest
from operator_kube.fake_api import FakeApi
from operator_kube.kube_world import World

from tidegate_kubernetes.api import ApiError
from tidegate_kubernetes.kinds import KINDS, PODS, POLICIES
from tidegate_operator.kube.watched.freshness import OFTEN_S, Freshness, WatchIsDeadError
from tidegate_operator.kube.watched.store import Store


class Desk:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.world = World()
        self.store = self.world.store()
        self.api = FakeApi()
        self.freshness = Freshness(self.api, self.store, (), lambda: self.now_s)
        for kind in KINDS:
            self.listed(kind)

    def listed(self, kind: object, **more: str) -> None:
        """The API server lists exactly what the store holds, and `more`."""
        for known in KINDS:
            if known is kind:
                things = self.store._objects[known].values()
                found = {t.meta.uid: t.meta.version for t in things} | more
                self.api.listings[known.path()] = (found, "999999")

    async def check_all(self) -> None:
        for kind in KINDS:
            await self.freshness.check(kind)


async def test_a_store_that_agrees_is_a_proof_of_life() -> None:
    desk = Desk()
    desk.now_s = 1000.0
    assert desk.freshness.age_s() > 0
    await desk.check_all()
    assert desk.freshness.age_s() == 0.0


async def test_what_the_watch_never_delivers_proves_that_it_is_dead() -> None:
    desk = Desk()
    await desk.check_all()
    desk.listed(PODS, new="1000")
    await desk.freshness.check(PODS)
    with pytest.raises(WatchIsDeadError, match="pods"):
        await desk.freshness.check(PODS)


async def test_a_watch_that_is_only_late_is_not_dead() -> None:
    desk = Desk()
    await desk.check_all()
    desk.listed(PODS, new="1000")
    await desk.freshness.check(PODS)
    arrived = desk.world.another(desk.world.pods[0], resourceVersion="1000")
    desk.store.put(PODS, {**arrived, "metadata": {**arrived["metadata"], "uid": "new"}})
    await desk.freshness.check(PODS)


async def test_what_was_deleted_unseen_is_dropped() -> None:
    desk = Desk()
    uid = desk.world.pods[0]["metadata"]["uid"]
    found, version = desk.api.listings[PODS.path()]
    desk.api.listings[PODS.path()] = ({u: v for u, v in found.items() if u != uid}, version)
    await desk.freshness.check(PODS)
    assert desk.store.pod(uid) is None


async def test_an_api_server_that_does_not_answer_ages_the_proof() -> None:
    desk = Desk()
    await desk.check_all()

    def refuse(method: str, path: str) -> None:
        raise ApiError(0, "no answer")

    desk.api.refuse = refuse
    desk.now_s = OFTEN_S + 130.0
    await desk.check_all()
    assert desk.freshness.age_s() == pytest.approx(130.0)


async def test_without_the_crd_the_default_policy_rules() -> None:
    desk = Desk()

    def refuse(method: str, path: str) -> None:
        if path == POLICIES.path():
            raise ApiError(404, "no such resource")

    desk.api.refuse = refuse
    await desk.check_all()
    assert desk.freshness.age_s() == 0.0


async def test_synced_once_the_first_listing_has_arrived() -> None:
    desk = Desk()
    full = desk.store
    empty = Store()
    freshness = Freshness(desk.api, empty, (), asyncio.get_running_loop().time)
    running = asyncio.create_task(freshness.run())
    try:
        async with asyncio.timeout(5):
            while ("LIST", PODS.path()) not in desk.api.calls:  # noqa: ASYNC110 - a fake's log
                await asyncio.sleep(0.01)
        assert not freshness.synced.is_set()
        for kind in KINDS:
            empty._objects[kind] |= full._objects[kind]
        await asyncio.wait_for(freshness.synced.wait(), 5)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
