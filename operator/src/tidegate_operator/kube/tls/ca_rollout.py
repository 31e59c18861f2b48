"""Running pods learn a new authority: their annotation is rewritten, the downward API carries it.

An authority is renewed with its old key, which every pod goes on trusting. Only when its Secret
was lost and another one had to be made do pods carry one that verifies nothing any more: without
this they would drain by their own plans until they are replaced.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from tidegate.contract.kube import ANNOTATION_OPERATOR_CA
from tidegate_kubernetes.api import ApiError, KubeApi
from tidegate_kubernetes.kinds import PODS
from tidegate_kubernetes.objects import PodObject, authority_digest
from tidegate_operator.kube.watched.store import Store

AT_ONCE: Final = 8
log = logging.getLogger("tidegate.certificate")


async def spread(api: KubeApi, store: Store, authority_pem: str) -> int:
    """Give `authority_pem` to every pod that was given another one; returns how many got it."""
    desired = authority_digest(authority_pem)
    behind = [
        p for p in store.pods if p.trusts not in (None, desired) and not (p.finished or p.kill_s)
    ]
    gate = asyncio.Semaphore(AT_ONCE)
    given = await asyncio.gather(*[_give(api, store, p, authority_pem, gate) for p in behind])
    if behind:
        log.info("%d of %d pod(s) got the new authority", sum(given), len(behind))
    return sum(given)


async def _give(
    api: KubeApi, store: Store, pod: PodObject, pem: str, gate: asyncio.Semaphore
) -> bool:
    path = f"{PODS.path(pod.meta.namespace)}/{pod.meta.name}"
    change = {"uid": pod.meta.uid, "annotations": {ANNOTATION_OPERATOR_CA: pem}}
    try:
        async with gate:
            store.refresh(PODS, await api.merge(path, {"metadata": change}))
    except ApiError as error:
        log.debug("pod %s keeps its authority for now: %s", pod.meta.name, error)
        return False
    return True
