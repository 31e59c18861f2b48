"""What a rollout did, as far as the operator can know it: from the pods' reports alone.

The scorecard's figures that need a ledger or the clients' own clocks stay open. A move is counted
as an arrival during the rollout, so clients that first come during it count as well;
peaks are seen through reports a quarter of a second apart. Pure: a state and a snapshot in, a state
out, like the planner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from tidegate.rollout.snapshot import Pod, Workload
from tidegate.score.observe import QUIET_AT_MOST_S, QUIET_S
from tidegate.score.scorecard import Scorecard

WINDOW_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Running:
    """A rollout being watched; times are the caller's monotonic seconds.

    `arrived_before` are the pods' arrival counts when it began, `clients` the streams then.
    `emptied_s` is when the last old pod had no stream left, `moved_s` when a client last moved.
    `whole` is false where the rollout was already running at first sight (a new leader).
    """

    revision: str
    started_s: float
    clients: int
    arrived_before: Mapping[str, int]
    arrived: Mapping[str, int]
    window: tuple[tuple[float, int], ...] = ()
    peak: int = 0
    fullest: int = 0
    emptied_s: float | None = None
    moved_s: float = 0.0
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Watched:
    """One workload between two looks; `last` is the scorecard of its last finished rollout.

    A rollout that was not seen from its beginning leaves no scorecard: half a count is none.
    """

    rested: bool = False
    arrived: Mapping[str, int] = field(default_factory=dict)
    streams: int = 0
    running: Running | None = None
    last: Scorecard | None = None
    last_revision: str = ""


def observe(seen: Watched, workload: Workload, budget_per_s: float, now: float) -> Watched:
    """The next state, from a workload whose pods carry their reports."""
    arrived = {**_still(seen.arrived, workload), **_arrived(workload)}
    streams = sum(_streams(p) for p in workload.pods)
    running = seen.running
    if running is None:
        if not _rolls(workload):
            return replace(seen, arrived=arrived, streams=streams, rested=True)
        clients, before = (seen.streams, seen.arrived) if seen.rested else (streams, arrived)
        running = Running(
            workload.revision, now, clients, before, arrived, moved_s=now, whole=seen.rested
        )
    elif workload.revision != running.revision:
        running = replace(running, revision=workload.revision, emptied_s=None)
    running = _observed(running, workload, arrived, now)
    finished = running.emptied_s is not None and (
        now - running.moved_s >= QUIET_S or now - running.emptied_s >= QUIET_AT_MOST_S
    )
    if not finished:
        return replace(seen, arrived=arrived, streams=streams, running=running)
    card = _scorecard(running, workload, budget_per_s) if running.whole else None
    return Watched(True, arrived, streams, None, card, running.revision)


def _rolls(workload: Workload) -> bool:
    return any(p.revision != workload.revision for p in workload.pods)


def _streams(pod: Pod) -> int:
    return 0 if pod.report is None else pod.report.streams


def _arrived(workload: Workload) -> dict[str, int]:
    return {p.uid: p.report.arrived_total for p in workload.pods if p.report is not None}


def _still(arrived: Mapping[str, int], workload: Workload) -> dict[str, int]:
    uids = {p.uid for p in workload.pods}
    return {uid: count for uid, count in arrived.items() if uid in uids}


def _observed(
    running: Running, workload: Workload, arrived: Mapping[str, int], now: float
) -> Running:
    everything = {**running.arrived, **arrived}
    total = sum(everything.values())
    moved = total > sum(running.arrived.values())
    window = (*((t, n) for t, n in running.window if t >= now - WINDOW_S), (now, total))
    old = [p for p in workload.pods if p.revision != workload.revision]
    new = [_streams(p) for p in workload.pods if p.revision == workload.revision and not p.deleting]
    empty = not any(_streams(p) for p in old) and all(p.deleting for p in old)
    return replace(
        running,
        arrived=everything,
        window=window,
        peak=max(running.peak, total - window[0][1]),
        fullest=max((running.fullest, *new)),
        emptied_s=(running.emptied_s if running.emptied_s is not None else now) if empty else None,
        moved_s=now if moved or not empty else running.moved_s,
    )


def _scorecard(running: Running, workload: Workload, budget_per_s: float) -> Scorecard:
    held = [_streams(p) for p in workload.pods if not p.deleting]
    mean = sum(held) / len(held) if held else 0.0
    moves = sum(
        count - running.arrived_before.get(uid, 0) for uid, count in running.arrived.items()
    )
    target = running.clients / max(1, workload.replicas)
    ended_s = running.emptied_s if running.emptied_s is not None else running.started_s
    return Scorecard(
        moves_per_client=moves / running.clients if running.clients else None,
        balance_max_over_mean=max(held) / mean if mean else None,
        balance_min_over_mean=min(held) / mean if mean else None,
        transient_max_over_mean=running.fullest / target if target else None,
        peak_moves_1s=running.peak,
        peak_over_budget=running.peak / budget_per_s,
        rollout_s=ended_s - running.started_s,
    )
