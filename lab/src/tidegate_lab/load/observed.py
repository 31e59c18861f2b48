"""From the load process's result to what is scored.

The lab's fleet and a real cluster differ in what they know of pods; what the clients have seen is
the same, and put together here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from tidegate.score.deliveries import Deliveries
from tidegate.score.measures import StreamChange
from tidegate.score.observe import Observations


def observations(
    result: Mapping[str, Any],
    *,
    pods: int,
    budget_per_s: float,
    started_s: float,
    live_pods: Collection[str],
    new_pods: Collection[str],
) -> Observations:
    """Everything seen of one rollout; `result` is what `LoadDriver.finish` has returned.

    `pods` is the fleet's size, `live_pods` exist at the end, `new_pods` are of the new revision.
    """
    return Observations(
        pods=pods,
        clients=len(result["moves"]),
        budget_per_s=budget_per_s,
        started_s=started_s,
        moves=result["moves"],
        arrivals_s=result["arrivals_s"],
        stream_changes=[StreamChange(*row) for row in result["changes"]],
        live_pods=live_pods,
        new_pods=new_pods,
        attempts=result["attempts"],
        bounced=result["bounced"],
        cut_without_goodbye=result["cut_without_goodbye"],
        failed_connects=result["failed_connects"],
        non_200=result["non_200"],
        clients_dead=result["clients_dead"],
        offline_s=result["offline_s"],
        calm_latency_p99_s=result["calm_latency_p99_s"],
        rollout_latency_p99_s=result["rollout_latency_p99_s"],
        deliveries=Deliveries(
            received=result["received"],
            expected=result["expected"],
            lost=result["lost"],
            duplicated=result["duplicated"],
        ),
    )
