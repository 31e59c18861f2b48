"""What a rollout did, as far as the operator can know it: from the pods' reports alone.

A report is as old as the last change that its pod had to tell, up to fifteen seconds at rest, so
nobody knows the counts of the moment in which a rollout begins. They lie between two reports: the
last one before it and the first one that was asked for because of it. Both are kept as a base. A
move is an end and a return, so it is counted as the lesser of the two: clients that only came, or
only left, are no moves. Where the two bases give figures that differ by more than `TOLERANCE`, or
the operator has not seen all of it, a figure is not measured, and the reason is told instead.

Figures that need a ledger or the clients' own clocks stay open, as does the peak within a second:
reports are a quarter of a second apart. Pure: a state and a snapshot in, a state out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from tidegate.contract.report import Report
from tidegate.rollout.memory import since
from tidegate.rollout.snapshot import Pod, Workload
from tidegate.score.observe import is_over
from tidegate.score.scorecard import Scorecard

TOLERANCE: Final = 0.02
"""By how much a figure may differ from what the clients themselves would count."""

NOT_WHOLE: Final = "this operator has led for a part of the rollout only"
NOT_REPORTED: Final = "not every pod has reported"
RESTARTED: Final = "a sidecar was restarted in the middle of it"
CAME_OR_WENT: Final = "clients came or left while it ran"
UNSETTLED: Final = "clients came or left just as it began"


@dataclass(frozen=True, slots=True)
class Running:
    """A rollout being watched; times are the caller's monotonic seconds.

    `before` and `fresh` are the last report of each pod that was there before it began, and the
    first one after; `latest` the last one of every pod seen since. `emptied_s` is when the last old
    pod had no stream left, `over_s` when the new ones served as well, `stirred_s` when counts last
    changed. `whole` is false where the rollout was already running at first sight (a new leader).
    """

    revision: str
    started_s: float
    before: Mapping[str, Report]
    there: frozenset[str]
    fresh: Mapping[str, Report] = field(default_factory=dict)
    latest: Mapping[str, Report] = field(default_factory=dict)
    fullest: int = 0
    emptied_s: float | None = None
    over_s: float | None = None
    stirred_s: float = 0.0
    restarted: bool = False
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Watched:
    """One workload between two looks.

    `last` is the scorecard of its last finished rollout, with `not_measured`, the reason why a
    figure in it is missing.
    """

    rested: bool = False
    uids: frozenset[str] = frozenset()
    reports: Mapping[str, Report] = field(default_factory=dict)
    streams: int = 0
    running: Running | None = None
    last: Scorecard | None = None
    not_measured: str | None = None
    last_revision: str = ""


def observe(seen: Watched, workload: Workload, now: float) -> Watched:
    """The next state, from a workload whose pods carry their reports."""
    reports = {p.uid: p.report for p in workload.pods if p.report is not None}
    streams = _streams(reports)
    uids = frozenset(p.uid for p in workload.pods)
    running = seen.running
    if running is None:
        if not any(p.revision != workload.revision for p in workload.pods):
            return replace(seen, uids=uids, reports=reports, streams=streams, rested=True)
        running = _begun(seen, workload, now)
    elif workload.revision != running.revision:
        running = replace(running, revision=workload.revision, emptied_s=None, over_s=None)
    running = _observed(running, workload, reports, now)
    if not _finished(running, streams, now):
        return replace(seen, uids=uids, reports=reports, streams=streams, running=running)
    card, reason = _scorecard(running, workload, reports)
    return Watched(True, uids, reports, streams, None, card, reason, running.revision)


def _begun(seen: Watched, workload: Workload, now: float) -> Running:
    return Running(
        workload.revision, now, seen.reports, seen.uids, stirred_s=now, whole=seen.rested
    )


def _streams(reports: Mapping[str, Report]) -> int:
    return sum(report.streams for report in reports.values())


def _observed(
    running: Running, workload: Workload, reports: Mapping[str, Report], now: float
) -> Running:
    age_s = now - running.started_s
    fresh = {
        p.uid: p.report
        for p in workload.pods
        if p.report is not None and p.uid in running.there and p.report_age_s < age_s
    }
    known = {**running.before, **running.latest}
    stirred = any(_counts(known.get(uid)) != _counts(report) for uid, report in reports.items())
    old = [p for p in workload.pods if p.revision != workload.revision]
    new = [p for p in workload.pods if p.revision == workload.revision and not p.deleting]
    empty = all(p.deleting and _held(p) == 0 for p in old)
    emptied_s = since(running.emptied_s, now, holds=empty)
    served = empty and sum(p.ready for p in new) >= workload.replicas
    return replace(
        running,
        fresh={**fresh, **running.fresh},
        latest={**running.latest, **reports},
        fullest=max((running.fullest, *map(_held, new))),
        emptied_s=emptied_s,
        over_s=since(running.over_s, now, holds=served),
        stirred_s=now if stirred else running.stirred_s,
        restarted=running.restarted or _restarted(known, reports),
    )


def _held(pod: Pod) -> int:
    return 0 if pod.report is None else pod.report.streams


def _counts(report: Report | None) -> tuple[int, int]:
    return (0, 0) if report is None else (report.arrived_total, report.ended_total)


def _restarted(known: Mapping[str, Report], reports: Mapping[str, Report]) -> bool:
    """Whether totals, which only grow in the life of a process, have become less."""
    return any(_counts(known.get(uid)) > _counts(report) for uid, report in reports.items())


def _finished(running: Running, streams: int, now: float) -> bool:
    if running.over_s is None:
        return False
    back = streams >= (1.0 - TOLERANCE) * _streams(running.before)
    return is_over(now, running.over_s, running.stirred_s, all_back=back)


def _scorecard(
    running: Running, workload: Workload, reports: Mapping[str, Report]
) -> tuple[Scorecard, str | None]:
    """The figures, and why those of the whole rollout are missing if they are."""
    staying = [p for p in workload.pods if not p.deleting]
    if any(p.report is None for p in staying):
        return Scorecard(), NOT_REPORTED
    held = [_held(p) for p in staying]
    mean = sum(held) / len(held) if held else 0.0
    card = Scorecard(
        balance_max_over_mean=max(held) / mean if mean else None,
        balance_min_over_mean=min(held) / mean if mean else None,
    )
    reason = _flaw(running, reports)
    if reason is not None:
        return card, reason
    clients, ended_s = _streams(reports), running.emptied_s
    moves = _moves(running, running.before, reports)
    measured = replace(
        card,
        moves_per_client=moves / clients if clients else None,
        transient_max_over_mean=(
            running.fullest * max(1, workload.replicas) / clients if clients else None
        ),
        rollout_s=None if ended_s is None else ended_s - running.started_s,
    )
    return measured, None


def _flaw(running: Running, reports: Mapping[str, Report]) -> str | None:
    """Why the whole rollout cannot be counted; ``None``: it can."""
    if not running.whole:
        return NOT_WHOLE
    if running.there - (running.before.keys() & running.fresh.keys()):
        return NOT_REPORTED
    if running.restarted:
        return RESTARTED
    clients = _streams(reports)
    near = TOLERANCE * clients
    counted = (_streams(running.before), _streams(running.fresh))
    if all(abs(clients - count) > near for count in counted):
        return CAME_OR_WENT
    most = _moves(running, running.before, reports)
    least = _moves(running, running.fresh, reports)
    return UNSETTLED if most - least > TOLERANCE * most else None


def _moves(running: Running, base: Mapping[str, Report], living: Collection[str]) -> int:
    """Ends that were followed by a return, since the reports in `base`; a pod not in it is new.

    Of a pod that is gone, all streams that ever arrived have ended.
    """
    arrived = ended = 0
    for uid, report in running.latest.items():
        arrived_before, ended_before = _counts(base.get(uid))
        arrived += report.arrived_total - arrived_before
        gone = uid not in living
        ended += (report.arrived_total if gone else report.ended_total) - ended_before
    return min(arrived, ended)
