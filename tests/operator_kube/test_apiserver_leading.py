"""Who leads, and what both replicas share, on a real API server."""

from __future__ import annotations

import json
import time

from kit.waiting import until
from operator_kube.real_apiserver import Namespace, Operator, needs_apiserver, operator

pytestmark = needs_apiserver


async def test_the_standby_takes_over_at_once_when_the_leader_ends_and_soon_when_it_dies(
    namespace: Namespace,
) -> None:
    async with operator(namespace) as one:
        await until(one.leads)
        async with operator(namespace) as two:
            await until(lambda: synced(two))
            assert not await two.leads()
            assert await one.end() == 0, one.lines
            await until(two.leads, within_s=6)
            async with operator(namespace) as three_:
                await until(lambda: synced(three_))
                two.process.kill()
                began_s = time.monotonic()
                await until(three_.leads, within_s=25)
                assert time.monotonic() - began_s > 2, "a Lease is waited for"


async def synced(one: Operator) -> bool:
    return await one.asked("/syncedz") == 200


async def test_the_certificate_is_shared_and_survives_a_restart(namespace: Namespace) -> None:
    seen = []
    for _ in range(2):
        async with operator(namespace) as one:
            await until(one.leads)
            secret = await namespace.api.get(namespace.path("/api/v1", "secrets/tidegate-tls"))
            seen.append(json.dumps(secret["data"], sort_keys=True))
            assert await one.end() == 0, one.lines
    assert seen[0] == seen[1]
