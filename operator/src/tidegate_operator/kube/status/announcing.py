"""The Events of a healthy rollout: one sentence when it begins and one when it is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tidegate.rollout.snapshot import Policy, Workload
from tidegate.score.scorecard import Scorecard
from tidegate_operator.kube.status.rollouts import Watched

ROLLOUT_STARTED: Final = "RolloutStarted"
ROLLOUT_FINISHED: Final = "RolloutFinished"


@dataclass(frozen=True, slots=True)
class Announcement:
    """An Event that is due once: a CamelCase reason and a sentence."""

    reason: str
    message: str


def announce(
    before: Watched, seen: Watched, workload: Workload, policy: Policy
) -> Announcement | None:
    """The Event that the step from `before` to `seen` calls for, if any.

    A new leader finds a rollout running that another one has announced, and says nothing.
    """
    if seen.last is not None and seen.last is not before.last:
        return Announcement(ROLLOUT_FINISHED, _ended(seen.last, seen.not_measured))
    if seen.running is not None and before.running is None and seen.running.whole:
        return Announcement(ROLLOUT_STARTED, _begun(seen, workload, policy))
    return None


def _begun(seen: Watched, workload: Workload, policy: Policy) -> str:
    least_s = seen.streams / policy.budget_per_s
    return (
        f"{seen.streams} streams on {workload.replicas} pods move at up to "
        f"{policy.budget_per_s:g} per second, which takes {least_s:.0f} s or more"
    )


def _ended(card: Scorecard, not_measured: str | None) -> str:
    parts = []
    if card.rollout_s is not None:
        parts.append(f"all streams had moved after {card.rollout_s:.0f} s")
    if card.moves_per_client is not None:
        parts.append(f"{card.moves_per_client:.3f} moves per client")
    if card.balance_max_over_mean is not None and card.balance_min_over_mean is not None:
        parts.append(
            f"the fullest pod holds {card.balance_max_over_mean:.2f} and the emptiest "
            f"{card.balance_min_over_mean:.2f} of the mean"
        )
    if not_measured is not None:
        parts.append(f"the rest is not measured: {not_measured}")
    return "; ".join(parts) or "it had no streams"


def figures(card: Scorecard) -> dict[str, float]:
    """The measured figures of a scorecard, for a log line."""
    return {key: value for key, value in card.to_json().items() if value is not None}
