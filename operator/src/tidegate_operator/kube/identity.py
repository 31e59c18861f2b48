"""Identity of a reporting pod: its projected token, reviewed by the API server, for a live pod.

A token bound to a pod names the pod's uid in the review (audience ``tidegate.dev``; asked for any
other audience it is worthless). Good reviews are remembered for a while by the token's digest,
because a pod reports four times a second during a rollout; that the pod still exists is asked every
time, since the API server accepts a token for some seconds after its pod is gone.

A review costs the API server a signature, so a flood of bad tokens must not buy one each, nor make
a good pod wait. A token is looked at first: it must claim to be of a live pod. Bad reviews are
remembered apart from the good ones. A pod of whose tokens one was bad of late has its next ones
reviewed in a narrow queue of their own; where that is full there is no answer for now. Only the pod
that is forged can find itself in it, and only with a token that it has not shown before.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from tidegate.contract.kube import TOKEN_AUDIENCE
from tidegate_kubernetes.api import ApiError, KubeApi
from tidegate_operator.kube.token_claims import claimed_pod_uid

T = TypeVar("T")

REVIEWS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
POD_UID: Final = "authentication.kubernetes.io/pod-uid"
KNOWN_S: Final = 60.0
BAD_S: Final = 2.0
"""Short: an API server may not know a pod yet that has just started."""

SUSPECT_S: Final = 30.0
"""How long a bad token makes the pod suspect that it claims to be of."""

MOST_GOOD: Final = 20_000
MOST_BAD: Final = 2_000
MOST_AT_ONCE: Final = 16
"""After a change of leader every pod shows its token at once; the API server needs not see it."""

SUSPECT_AT_ONCE: Final = 2
SUSPECT_WAITING: Final = 20
"""Reviews for suspect pods: those under way, and those with the ones that wait."""


class Remembered(Generic[T]):
    """At most `most` values by key, each for its time; the one put first goes first."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most = most
        self._clock = clock
        self._values: OrderedDict[bytes, tuple[T, float]] = OrderedDict()

    def __contains__(self, key: bytes) -> bool:
        found = self._values.get(key)
        return found is not None and self._clock() < found[1]

    def last(self, key: bytes) -> T | None:
        """The value, also one whose time is over."""
        found = self._values.get(key)
        return None if found is None else found[0]

    def put(self, key: bytes, value: T, lasts_s: float) -> None:
        """Remember `value` for `lasts_s` from now."""
        self._values[key] = value, self._clock() + lasts_s
        self._values.move_to_end(key)
        if len(self._values) > self._most:
            self._values.popitem(last=False)

    def forget(self, key: bytes) -> None:
        """Drop the value."""
        self._values.pop(key, None)


class Identities:
    """Tokens to pod uids. `alive`: whether a pod exists now, `clock` is monotonic seconds."""

    def __init__(
        self, api: KubeApi, alive: Callable[[str], bool], clock: Callable[[], float]
    ) -> None:
        self._api = api
        self._alive = alive
        self._clock = clock
        self._good = Remembered[str](MOST_GOOD, clock)
        self._bad = Remembered[None](MOST_BAD, clock)
        self._suspects = Remembered[None](MOST_BAD, clock)
        self._asking: dict[bytes, asyncio.Task[str | None]] = {}
        self._gate = asyncio.Semaphore(MOST_AT_ONCE)
        self._suspect_gate = asyncio.Semaphore(SUSPECT_AT_ONCE)
        self._suspects_waiting = 0

    async def identify(self, token: str) -> str | None:
        """The uid of the live pod this token belongs to, ``None`` where there is none.

        While the API server does not answer, a token it knew before is still believed; for a new
        one `ApiError` is raised, and so it is where too many tokens of a suspect pod wait.
        """
        claimed = claimed_pod_uid(token)
        if claimed is None or not self._alive(claimed):
            return None
        key = hashlib.sha256(token.encode()).digest()
        if key in self._bad:
            return None
        uid = self._good.last(key)
        if key not in self._good:
            try:
                uid = await self._ask(key, token, claimed)
            except ApiError:
                if uid is None:
                    raise
        return uid if uid is not None and self._alive(uid) else None

    async def _ask(self, key: bytes, token: str, claimed: str) -> str | None:
        """One review per token at a time; concurrent callers share it."""
        task = self._asking.get(key)
        if task is None:
            task = asyncio.create_task(self._review(key, token, claimed))
            self._asking[key] = task
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        # Shielded: a caller that hangs up must not cancel the review the others wait for.
        return await asyncio.shield(task)

    async def _review(self, key: bytes, token: str, claimed: str) -> str | None:
        is_new = self._good.last(key) is None
        if is_new and claimed.encode() in self._suspects:
            answer = await self._review_suspect(token)
        else:
            async with self._gate:
                answer = await self._api.post(REVIEWS, review_of(token))
        uid = pod_uid_of(answer)
        if uid is None:
            self._good.forget(key)
            self._bad.put(key, None, BAD_S)
            self._suspects.put(claimed.encode(), None, SUSPECT_S)
        else:
            self._good.put(key, uid, KNOWN_S)
        return uid

    async def _review_suspect(self, token: str) -> dict[str, Any]:
        if self._suspects_waiting >= SUSPECT_WAITING:
            raise ApiError(429, "too many bad tokens of this pod; try again")
        self._suspects_waiting += 1
        try:
            async with self._suspect_gate:
                return await self._api.post(REVIEWS, review_of(token))
        finally:
            self._suspects_waiting -= 1


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
