"""The hook that holds an application's container: until the pod has drained, and no longer."""

from __future__ import annotations

import asyncio
import time

from kit.sidecar_process import SidecarProcess

from tidegate.contract.names import PATH_DRAIN_APP, PATH_DRAIN_POD
from tidegate_sidecar.ports.admin import ADMIN_LIMITS

QUICK = {"TIDEGATE_LINGER_S": "1", "TIDEGATE_GRACE_S": "10", "TIDEGATE_RESERVE_S": "2"}


async def test_it_answers_when_the_pod_has_drained() -> None:
    async with SidecarProcess(**QUICK) as sidecar:
        stream = await sidecar.stream()
        application = asyncio.create_task(sidecar.http.post(sidecar.url("admin", "/drain/app")))
        pod = asyncio.create_task(sidecar.drain())
        assert b"event: shutdown" in await stream.until_end()
        assert (
            (await application).json() == (await pod).json() == {"state": "drained", "streams": 0}
        )


async def test_it_lasts_as_long_as_the_sleep_that_it_replaces() -> None:
    async with SidecarProcess(**QUICK) as sidecar:
        started = time.monotonic()
        hook = sidecar.http.post(sidecar.url("admin", "/drain/app?min_s=3"))
        await asyncio.gather(hook, sidecar.drain())
        assert time.monotonic() - started >= 3.0


async def test_a_container_that_is_restarted_alone_does_not_drain_the_pod() -> None:
    async with SidecarProcess(**QUICK) as sidecar:
        stream = await sidecar.stream()
        answer = await sidecar.http.post(sidecar.url("admin", "/drain/app"))
        assert answer.json() == {"state": "ready", "streams": 1}
        assert (await sidecar.publish("still here")).status_code == 202
        await stream.until(b"data: still here")


async def test_it_wants_the_pods_token_and_a_sane_sleep() -> None:
    async with SidecarProcess(**QUICK, TIDEGATE_POD_TOKEN="s3cret") as sidecar:
        url = sidecar.url("admin", "/drain/app")
        assert (await sidecar.http.post(url)).status_code == 403
        right = {"X-Tidegate-Token": "s3cret"}
        for least in ("-1", "1e9", "99999", "x"):
            answer = await sidecar.http.get(f"{url}?min_s={least}", headers=right)
            assert (answer.status_code, answer.json()["field"]) == (400, "min_s")


def test_a_full_port_has_a_place_for_both_hooks() -> None:
    """Refused, the application would be stopped while its streams are still being let go."""
    assert {PATH_DRAIN_POD.encode(), PATH_DRAIN_APP.encode()} <= ADMIN_LIMITS.kept_paths
