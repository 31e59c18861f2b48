"""What is written into the cluster beside the plans: labels, deletion costs, Events."""

from __future__ import annotations

from dataclasses import replace

from tidegate.rollout import holding, ordering
from tidegate.rollout.fleet import Fleet
from tidegate.rollout.memory import WorkloadMemory
from tidegate.rollout.pacing import Paced
from tidegate.rollout.snapshot import Action, Note, Policy, SetAdmit, SetDeletionCost
from tidegate.rollout.view import View


def write(
    view: View, policy: Policy, now: float, paced: Paced
) -> tuple[list[Action], WorkloadMemory]:
    """Everything to write for one workload, and the memory of having done so."""
    flips, memory = _flips(view, policy, now)
    costs, memory = _costs(view.fleet, memory, now)
    refused, memory = _note_refusal(view.fleet, memory)
    forced, memory = _note_forced(view, memory, paced)
    held, memory = _note_held(view, memory, paced, now)
    return [*flips, *costs, *refused, *forced, *held], memory


def _flips(view: View, policy: Policy, now: float) -> tuple[list[Action], WorkloadMemory]:
    """Label changes for this look: at most one batch per interval, and never an empty set.

    Where the open and the desired set share no pod, the new ones are opened first and the old ones
    closed by the next batch. A workload with nothing open is opened at once.
    """
    current, want = view.fleet.open, view.want
    if current == want:
        return [], view.memory
    if current and now - view.memory.flipped_s < policy.flip_interval_s:
        return [], view.memory
    opening: list[Action] = [SetAdmit(uid, True) for uid in sorted(want - current)]
    closing: list[Action] = [SetAdmit(uid, False) for uid in sorted(current - want)]
    if not current & want:
        return opening, view.memory
    return [*opening, *closing], replace(view.memory, flipped_s=now)


def _costs(
    fleet: Fleet, memory: WorkloadMemory, now: float
) -> tuple[list[SetDeletionCost], WorkloadMemory]:
    """Deletion costs: of the old pods at the first reconcile of a revision, of all now and then."""
    revision: str | None = fleet.workload.revision
    if fleet.rolling:
        due = memory.revision != revision
        pods = [p for p in fleet.old if p.report is not None]
        if due and len(pods) < len(fleet.old):
            revision = memory.revision  # a new leader has not had a report from each yet
    else:
        pods = [p for p in fleet.new if p.report is not None]
        old_enough = now - memory.costs_written_s >= ordering.REWRITE_EVERY_S
        due = old_enough or any(p.deletion_cost is None for p in pods)
        due = due and memory.shedding_s is None and not memory.disturbed
    costs = ordering.deletion_costs(pods, fleet.loads.of, due=due)
    written_s = now if due else memory.costs_written_s
    return costs, replace(memory, costs_written_s=written_s, revision=revision)


def _note_refusal(fleet: Fleet, memory: WorkloadMemory) -> tuple[list[Action], WorkloadMemory]:
    refusal = fleet.workload.refusal or memory.lag.refusal
    if refusal == memory.refusal_sent:
        return [], memory
    sent = replace(memory, refusal_sent=refusal)
    if refusal is None:
        return [], sent
    return [Note(fleet.workload.name, "SteeringRefused", refusal, warning=True)], sent


def _note_forced(
    view: View, memory: WorkloadMemory, paced: Paced
) -> tuple[list[Action], WorkloadMemory]:
    mine = view.lane is not None and any(j.uid in paced.plans for j in view.lane.jobs)
    forced = paced.forced_rate_per_s if mine else None
    if forced is None or memory.forced_told:
        return [], replace(memory, forced_told=forced is not None)
    message = f"deadlines ask for {forced:.0f} streams/s, more than the budget"
    note = Note(view.fleet.workload.name, "BudgetExceeded", message, warning=True)
    return [note], replace(memory, forced_told=True)


def _note_held(
    view: View, memory: WorkloadMemory, paced: Paced, now: float
) -> tuple[list[Note], WorkloadMemory]:
    jobs = view.lane.jobs if view.lane is not None else ()
    waiting = [j for j in jobs if j.uid in paced.plans and paced.plans[j.uid].kind == "wait"]
    reason = view.held if waiting else None
    streams = sum(j.streams for j in waiting)
    name = view.fleet.workload.name
    notes, hold = holding.follow(memory.hold, name, reason, len(waiting), streams, now)
    return notes, replace(memory, hold=hold)
