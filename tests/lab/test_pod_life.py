"""A local pod dies in the order the kubelet keeps: app, hook, sidecar, and SIGKILL at the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import httpx2
import pytest
from kit.ports import accepts
from kit.waiting import until

from tidegate.contract.sidecar import env
from tidegate_lab.fleet.pod import LocalPod, PodSpec
from tidegate_lab.processes import ProcessGroup

HOOK_S = 3.0
"""How long a hook takes, and so the sidecar's end after the app's."""


@pytest.fixture
async def http() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(trust_env=False) as client:
        yield client


def pod(
    process_group: ProcessGroup,
    http: httpx2.AsyncClient,
    sleep_s: float,
    grace_s: float,
    backplane: str = "memory",
) -> LocalPod:
    variables = {
        env("backplane"): backplane,
        env("drain"): "cut",
        env("prestop_sleep_s"): str(sleep_s),
        env("grace_s"): "30",
    }
    spec = PodSpec("uid", "pod", "rev", "token", 0.0, grace_s, variables)
    return LocalPod(spec, process_group, http, lambda: None)


async def test_the_app_goes_at_once_and_the_sidecar_after_its_hook(
    http: httpx2.AsyncClient,
) -> None:
    async with ProcessGroup() as process_group:
        local = pod(process_group, http, sleep_s=HOOK_S, grace_s=120.0)
        life = asyncio.create_task(local.run())
        await until(lambda: local.ready or local.failure is not None)
        assert local.failure is None
        assert await accepts(local.app_port)
        deleted_s = time.monotonic()
        local.delete()
        while await accepts(local.app_port):
            assert time.monotonic() - deleted_s < HOOK_S
        assert await accepts(local.public_port)
        await life
        assert HOOK_S <= time.monotonic() - deleted_s < HOOK_S + 60.0
        assert (local.gone, local.ready, local.failure) == (True, False, None)


async def test_what_is_left_after_the_grace_period_is_killed(http: httpx2.AsyncClient) -> None:
    async with ProcessGroup() as process_group:
        local = pod(process_group, http, sleep_s=600.0, grace_s=0.5)
        life = asyncio.create_task(local.run())
        await until(lambda: local.ready or local.failure is not None)
        deleted_s = time.monotonic()
        local.delete()
        await life
        assert time.monotonic() - deleted_s < 60.0, "its hook is not waited for"
        assert not await accepts(local.public_port)


async def test_a_sidecar_that_cannot_start_says_why(http: httpx2.AsyncClient) -> None:
    async with ProcessGroup() as process_group:
        local = pod(process_group, http, sleep_s=0.0, grace_s=1.0, backplane="carrier-pigeon")
        await local.run()
        assert local.gone
        assert local.failure is not None
        assert env("backplane") in str(local.failure)
