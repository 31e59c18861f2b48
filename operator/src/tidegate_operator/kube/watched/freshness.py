"""Compares the store with plain lists now and then, to detect a dead watch and missed deletions.

A watch can end silently, and kopf does not report deletions made while it reconnected. In a quiet
cluster the age of the last event cannot tell a dead watch from a lack of changes. A list of
metadata can: objects deleted unseen are dropped, and an object whose listed version
the watch has not delivered a while later proves that the watch is dead. Every check that finds the
store complete is a proof of life; liveness is the age of the oldest one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tidegate_kubernetes.api import ApiError, KubeApi
from tidegate_kubernetes.kinds import KINDS, PODS, POLICIES, Kind
from tidegate_operator.kube.watched.store import Store

OFTEN_S: Final = 20.0
SELDOM_S: Final = 120.0
"""Pods and policies are few and matter at once; a big cluster has many ReplicaSets."""

AGAIN_S: Final = 5.0
"""A watch delivers within milliseconds; one still behind after this is dead, not slow."""

FIRST_S: Final = 0.2
ABSENT: Final = 404
log = logging.getLogger("tidegate.watch")


class WatchIsDeadError(Exception):
    """Raised when a watch no longer delivers; only a new process has new watches."""


@dataclass(slots=True)
class _Checked:
    proven_s: float
    due_s: float
    behind: frozenset[tuple[str, str]] = frozenset()
    synced: bool = False


class Freshness:
    """Checks the store for `namespaces` (empty: all). `clock` gives monotonic seconds."""

    def __init__(
        self, api: KubeApi, store: Store, namespaces: Sequence[str], clock: Callable[[], float]
    ) -> None:
        self._api = api
        self._store = store
        self._namespaces: tuple[str | None, ...] = tuple(namespaces) or (None,)
        self._clock = clock
        self._checked = {kind: _Checked(clock(), clock()) for kind in KINDS}
        self.synced = asyncio.Event()

    def age_s(self) -> float:
        """Age of the oldest proof of life beyond its kind's interval; 0 while all are young."""
        now = self._clock()
        return max(max(0.0, now - c.proven_s - _every_s(k)) for k, c in self._checked.items())

    async def run(self) -> None:
        """Check for ever; raises `WatchIsDeadError`."""
        while True:
            for kind in KINDS:
                if self._clock() >= self._checked[kind].due_s:
                    await self.check(kind)
            if all(c.synced for c in self._checked.values()):
                self.synced.set()
            due_s = min(c.due_s for c in self._checked.values())
            await asyncio.sleep(max(FIRST_S, due_s - self._clock()))

    async def check(self, kind: Kind) -> None:
        """Hold one kind against a listing; raises `WatchIsDeadError`."""
        checked = self._checked[kind]
        try:
            behind = await self._behind(kind)
        except ApiError as error:
            checked.due_s = self._clock() + AGAIN_S
            log.warning("cannot check %s: %s", kind.plural, error)
            return
        if checked.synced and behind & checked.behind:
            raise WatchIsDeadError(f"the watch of {kind.plural} has stopped delivering")
        if behind:
            # Before the first sync the listing is simply ahead of kopf's: look again soon.
            checked.due_s = self._clock() + (AGAIN_S if checked.synced else FIRST_S)
        else:
            checked.synced = True
            checked.proven_s = self._clock()
            checked.due_s = self._clock() + _every_s(kind)
        checked.behind = behind

    async def _behind(self, kind: Kind) -> frozenset[tuple[str, str]]:
        listed: dict[str, str] = {}
        version = ""
        for namespace in self._namespaces:
            try:
                found, seen = await self._api.versions(kind.path(namespace), kind.selector)
            except ApiError as error:
                if kind is POLICIES and error.status == ABSENT:
                    continue  # no CRD: the operator runs with its default policy
                raise
            listed |= found
            version = _older(version, seen)
        lag = self._store.compare(kind, listed, version)
        for uid in lag.ghosts:
            log.warning("%s %s was deleted without a watch event", kind.plural, uid)
            self._store.drop(kind, uid)
        return lag.behind


def _older(version: str, other: str) -> str:
    if version.isdigit() and other.isdigit():
        return min(version, other, key=int)
    return version or other


def _every_s(kind: Kind) -> float:
    return OFTEN_S if kind in (PODS, POLICIES) else SELDOM_S
