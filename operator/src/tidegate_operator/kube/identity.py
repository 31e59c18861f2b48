"""Identity of a reporting pod: its projected token, reviewed by the API server, for a live pod.

A token bound to a pod names the pod's uid in the review (audience ``tidegate.dev``; asked for any
other audience it is worthless). Reviews are remembered for a while by the token's digest, because
a pod reports four times a second during a rollout; that the pod still exists is asked every time,
since the API server accepts a token for some seconds after its pod is gone.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from tidegate.contract.kube import TOKEN_AUDIENCE
from tidegate_kubernetes.api import ApiError, KubeApi

REVIEWS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
POD_UID: Final = "authentication.kubernetes.io/pod-uid"
KNOWN_S: Final = 60.0
UNKNOWN_S: Final = 2.0
MOST_REMEMBERED: Final = 20_000
MOST_AT_ONCE: Final = 16
"""After a change of leader every pod shows its token at once; the API server needs not see it."""


class Identities:
    """Tokens to pod uids. `alive`: whether a pod exists now, `clock` is monotonic seconds."""

    def __init__(
        self, api: KubeApi, alive: Callable[[str], bool], clock: Callable[[], float]
    ) -> None:
        self._api = api
        self._alive = alive
        self._clock = clock
        self._remembered: OrderedDict[bytes, tuple[str | None, float]] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[str | None]] = {}
        self._gate = asyncio.Semaphore(MOST_AT_ONCE)

    async def identify(self, token: str) -> str | None:
        """The uid of the live pod this token belongs to, ``None`` where there is none.

        While the API server does not answer, a token it knew before is still believed; for a new
        one `ApiError` is raised.
        """
        if not token:
            return None
        key = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        uid, until_s = self._remembered.get(key, (None, float("-inf")))
        if self._clock() >= until_s:
            try:
                uid = await self._ask(key, token)
            except ApiError:
                if uid is None:
                    raise
        return uid if uid is not None and self._alive(uid) else None

    async def _ask(self, key: bytes, token: str) -> str | None:
        """One review per token at a time; concurrent callers share it."""
        task = self._asking.get(key)
        if task is None:
            task = asyncio.create_task(self._review(key, token))
            self._asking[key] = task
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        # Shielded: a caller that hangs up must not cancel the review the others wait for.
        return await asyncio.shield(task)

    async def _review(self, key: bytes, token: str) -> str | None:
        async with self._gate:
            answer = await self._api.post(REVIEWS, review_of(token))
        uid = pod_uid_of(answer)
        lasts_s = UNKNOWN_S if uid is None else KNOWN_S
        self._remembered[key] = (uid, self._clock() + lasts_s)
        self._remembered.move_to_end(key)
        while len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        return uid


def review_of(token: str) -> dict[str, Any]:
    """The TokenReview that asks about a token, for our audience only."""
    return {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": [TOKEN_AUDIENCE]},
    }


def pod_uid_of(review: dict[str, Any]) -> str | None:
    """The pod uid of an answered TokenReview; ``None`` unless it is authenticated for us.

    An authenticator that knows no audiences answers without ours in ``status.audiences`` and is
    not believed (TokenReview reference).
    """
    status = review.get("status") or {}
    if not status.get("authenticated") or TOKEN_AUDIENCE not in (status.get("audiences") or ()):
        return None
    found = ((status.get("user") or {}).get("extra") or {}).get(POD_UID) or []
    return str(found[0]) if len(found) == 1 else None
