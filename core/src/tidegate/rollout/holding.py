"""Drains that are held: why, since when, and when that is worth a notice.

A held drain is invisible from outside: the pod is Terminating, its streams go on, nothing moves. An
owner who watches a rollout stand still needs the reason, and one line is enough.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.rollout.snapshot import Note

NOTED_AFTER_S = 5.0
"""Waiting for a label change to land is part of every drain and takes less."""

NO_NEW_POD = "no pod of the desired revision is ready"
NO_ROOM = "the pods of the desired revision have their share, and more of them are to come"
ROUTERS = "routers may still send new streams to pods that were just closed"


@dataclass(frozen=True, slots=True)
class Hold:
    """The present hold of one workload; `since_s` is the planner's `now` when it began."""

    reason: str | None = None
    since_s: float = 0.0
    noted: bool = False

    def shown(self, now: float) -> str | None:
        """The reason, once the hold is long enough to be worth showing."""
        return self.reason if now - self.since_s >= NOTED_AFTER_S else None


def follow(
    hold: Hold, workload: str, reason: str | None, pods: int, streams: float, now: float
) -> tuple[list[Note], Hold]:
    """The hold after one more look, and the notice where it is due.

    `reason` is why `pods` draining pods wait now with `streams` streams, ``None`` where none waits.
    A hold whose reason changes goes on: it is noted once.
    """
    if reason is None:
        return [], Hold()
    since_s = now if hold.reason is None else hold.since_s
    held = Hold(reason, since_s, hold.noted)
    if hold.noted or held.shown(now) is None:
        return [], held
    message = f"{streams:.0f} streams of {pods} draining pod(s) wait: {reason}"
    return [Note(workload, "DrainHeld", message)], Hold(reason, since_s, noted=True)
