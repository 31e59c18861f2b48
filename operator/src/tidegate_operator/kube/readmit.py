"""``readmit``: open every pod again, so that Services stay whole when Tidegate is taken away.

A pod closed by the operator would stay closed for ever once the operator is gone; the chart's
pre-delete hook runs this before anything is removed.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from tidegate.contract.names import LABEL_ADMIT
from tidegate_kubernetes.api import Access, ApiError, KubeApi
from tidegate_kubernetes.kinds import PODS

AT_ONCE: Final = 16
ROUNDS: Final = 5
PAUSE_S: Final = 1.0
GONE: Final = frozenset({404, 409})
log = logging.getLogger("tidegate.readmit")


async def readmit(access: Access, namespaces: tuple[str, ...]) -> int:
    """Label every closed pod open, in `namespaces` or all; returns how many it could not open."""
    client = await access.client()
    try:
        return await readmit_all(KubeApi(client), namespaces)
    finally:
        await client.close()  # type: ignore[no-untyped-call]


async def readmit_all(api: KubeApi, namespaces: tuple[str, ...], pause_s: float = PAUSE_S) -> int:
    """Until a listing shows no closed pod, a bounded number of rounds; `ApiError` if none works.

    More rounds than one, because an operator that is still running may close a pod once more.
    """
    closed: list[dict[str, Any]] = []
    for remaining in reversed(range(ROUNDS)):
        closed = await _closed(api, namespaces)
        if not closed:
            return 0
        log.info("opening %d pod(s)", len(closed))
        gate = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*[_open(api, pod, gate) for pod in closed])
        if remaining:
            await asyncio.sleep(pause_s)
    return len(await _closed(api, namespaces))


async def _closed(api: KubeApi, namespaces: tuple[str, ...]) -> list[dict[str, Any]]:
    selector = f"{PODS.selector},{LABEL_ADMIT}=false"
    found = []
    for namespace in namespaces or (None,):
        pods = api.items(PODS.path(namespace), {"labelSelector": selector})
        found += [pod["metadata"] async for pod in pods]
    return [meta for meta in found if "deletionTimestamp" not in meta]


async def _open(api: KubeApi, meta: dict[str, Any], gate: asyncio.Semaphore) -> None:
    body = {"metadata": {"uid": meta["uid"], "labels": {LABEL_ADMIT: "true"}}}
    try:
        async with gate:
            await api.merge(f"{PODS.path(meta['namespace'])}/{meta['name']}", body)
    except ApiError as error:
        if error.status not in GONE:
            log.warning("pod %s/%s stays closed: %s", meta["namespace"], meta["name"], error)
