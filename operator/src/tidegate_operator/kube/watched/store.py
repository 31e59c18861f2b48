"""What the operator knows of the cluster: the last state of every watched object.

Level-based and order-proof: an object older than the stored one is ignored (resourceVersions are
ordered numbers, KEP-5504), because the answer of the operator's own patch and the watch race each
other. All calls are made on one loop.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tidegate.contract.kinds import SHOWN_LENGTH
from tidegate_kubernetes.kinds import KINDS, PODS, AnyObject, Kind
from tidegate_kubernetes.objects import (
    PodObject,
    PolicyObject,
    Raw,
    ReplicaSetObject,
    ServiceObject,
    WorkloadObject,
)

MOST_VERSION_DIGITS = 40
log = logging.getLogger("tidegate.watch")


def newer_or_same(version: str, than: str) -> bool:
    """Whether a resourceVersion is not older; unreadable ones are taken for new."""
    if _is_number(version) and _is_number(than):
        return int(version) >= int(than)
    return True


def _is_number(version: str) -> bool:
    return version.isascii() and version.isdigit() and len(version) <= MOST_VERSION_DIGITS


@dataclass(frozen=True, slots=True)
class Lag:
    """What a listing shows that the store lacks: uid and the version it should have by now."""

    behind: frozenset[tuple[str, str]]
    ghosts: frozenset[str]


class Store:
    """Objects by kind and uid.

    `generation` grows with every change that the operator would see, and `on_change` is called.
    """

    def __init__(self) -> None:
        self._objects: dict[Kind, dict[str, AnyObject]] = {kind: {} for kind in KINDS}
        self.on_change: Callable[[], None] = _nobody_listens
        self.generation = 0
        self.malformed = 0
        self._unreadable: dict[Kind, dict[str, str]] = {kind: {} for kind in KINDS}

    def put(self, kind: Kind, raw: Raw) -> None:
        """Take an object as the API shows it; a malformed one is counted, logged and left out.

        Readers expect what the API server has validated. Whatever it has let through concerns that
        object alone, so no error of theirs gets any further.
        """
        try:
            thing = kind.read(raw)
        except Exception as error:  # noqa: BLE001 - an object that cannot be read is left out
            self._left_out(kind, raw, error)
            return
        self._unreadable[kind].pop(thing.meta.uid, None)
        self._put(kind, thing)

    def _left_out(self, kind: Kind, raw: Raw, error: Exception) -> None:
        self.malformed += 1
        meta = raw.get("metadata")
        meta = meta if isinstance(meta, Mapping) else {}
        uid, version = str(meta.get("uid")), str(meta.get("resourceVersion"))
        if uid not in self._unreadable[kind]:  # once, however often it is changed
            name = f"{meta.get('namespace')}/{meta.get('name')}"
            log.warning("%s %s cannot be read: %s", kind.plural, name[:SHOWN_LENGTH], error)
        # Remembered, so that a check against a listing does not take the watch for dead.
        self._unreadable[kind][uid] = version

    def refresh(self, kind: Kind, raw: Raw) -> None:
        """Take the answer of a write: as `put`, but never for an object that is gone already."""
        if str((raw.get("metadata") or {}).get("uid")) in self._objects[kind]:
            self.put(kind, raw)

    def drop(self, kind: Kind, uid: str) -> None:
        """Forget a deleted object."""
        self._unreadable[kind].pop(uid, None)
        if self._objects[kind].pop(uid, None) is not None:
            self._changed()

    def compare(self, kind: Kind, listed: Mapping[str, str], list_version: str) -> Lag:
        """Hold the store against a complete listing (uid -> version) taken at `list_version`.

        A stored object that is not listed was deleted unseen, unless it is younger than the list:
        kopf does not report deletions made while a watch was being re-established.
        """
        known = self._objects[kind]
        behind = {
            (uid, version) for uid, version in listed.items() if self._is_behind(kind, uid, version)
        }
        ghosts = {
            uid
            for uid, thing in known.items()
            if uid not in listed and newer_or_same(list_version, thing.meta.version)
        }
        return Lag(frozenset(behind), frozenset(ghosts))

    def _is_behind(self, kind: Kind, uid: str, version: str) -> bool:
        known = self._objects[kind].get(uid)
        seen = (self._unreadable[kind].get(uid), known.meta.version if known else None)
        return not any(have is not None and newer_or_same(have, version) for have in seen)

    def pod(self, uid: str) -> PodObject | None:
        """One pod."""
        found = self._objects[PODS].get(uid)
        return found if isinstance(found, PodObject) else None

    @property
    def pods(self) -> Iterator[PodObject]:
        """Every watched pod."""
        return (o for o in self._all() if isinstance(o, PodObject))

    @property
    def replica_sets(self) -> Iterator[ReplicaSetObject]:
        """Every ReplicaSet."""
        return (o for o in self._all() if isinstance(o, ReplicaSetObject))

    @property
    def workloads(self) -> Iterator[WorkloadObject]:
        """Every Deployment, StatefulSet and DaemonSet."""
        return (o for o in self._all() if isinstance(o, WorkloadObject))

    @property
    def services(self) -> Iterator[ServiceObject]:
        """Every Service."""
        return (o for o in self._all() if isinstance(o, ServiceObject))

    @property
    def policies(self) -> Iterator[PolicyObject]:
        """Every DrainPolicy."""
        return (o for o in self._all() if isinstance(o, PolicyObject))

    def _all(self) -> Iterator[AnyObject]:
        return (thing for things in self._objects.values() for thing in things.values())

    def _put(self, kind: Kind, thing: AnyObject) -> None:
        known = self._objects[kind].get(thing.meta.uid)
        if known is not None and not newer_or_same(thing.meta.version, known.meta.version):
            return
        if known is not None and _same(known, thing):
            self._objects[kind][thing.meta.uid] = thing
            return
        self._objects[kind][thing.meta.uid] = thing
        self._changed()

    def _changed(self) -> None:
        self.generation += 1
        self.on_change()


def _same(known: AnyObject, new: AnyObject) -> bool:
    """Whether nothing the operator reads has changed (a status update of something else)."""
    return _without_version(known) == _without_version(new)


def _without_version(thing: AnyObject) -> tuple[object, ...]:
    meta = thing.meta
    rest = tuple(getattr(thing, name) for name in thing.__slots__ if name != "meta")
    return (meta.namespace, meta.name, meta.labels, meta.owner, rest)


def _nobody_listens() -> None:
    return None
