"""What only clients that hand over can tell of a rollout, and the goals they must reach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from e2e.goals import SMOOTH
from tidegate.score.deliveries import Deliveries
from tidegate.score.goals import Goal
from tidegate.score.measures import percentile
from tidegate_lab.load.tally import Receipts

HANDOVER = (
    *SMOOTH,
    Goal("offline_p99_ms", "==", 0),
    Goal("moves_per_client", "<=", 1.03),
)
"""On top of what holds for any rollout: nobody is ever without a stream, nobody moves twice."""

DELIVERIES = 1_000_000
FIRST_EVENT_ADDED_P99_MS = 100.0

TRIPS = 3
"""A client that moves waits in the machine's queues for the goodbye, for its request and for the
answer; a bystander for the event alone. Where that one wait is long, three exceed 100 ms."""


@dataclass(frozen=True, slots=True)
class Handovers:
    """Beside the scorecard, whose counts are from the wire.

    `app` is what the application was given, `disordered` the events, on the wire or in the
    application, that came after a later one. `slots` counts the goodbyes with an event after them;
    `first_event_p99_ms` is from the acknowledgement of that event to its receipt, `over_calm` what
    that is more than the p99 of the calm before. `added` compares event by event: how much later
    than the median of all clients the one that was moving had it. `bystanders_added_p99_ms` is the
    same for all clients and those events: the machine's share. `told_lost` counts the times a
    client reported to its application that it has no stream.
    """

    app: Deliveries
    disordered: int
    slots: int
    first_event_p50_ms: float | None
    first_event_p99_ms: float | None
    first_event_p99_over_calm_ms: float | None
    first_event_added_p50_ms: float | None
    first_event_added_p99_ms: float | None
    bystanders_added_p99_ms: float | None
    told_lost: int

    def to_json(self) -> dict[str, Any]:
        """The figures by name; milliseconds to a tenth."""
        figures = asdict(self)
        return {k: round(v, 1) if isinstance(v, float) else v for k, v in figures.items()}

    def missed(self) -> list[str]:
        """The goals that are missed, as sentences; a figure that is missing misses its goal."""
        app = self.app
        added_ms, machine_ms = self.first_event_added_p99_ms, self.bystanders_added_p99_ms
        holds = {
            f"the application was given {app.received} events": app.received >= DELIVERIES,
            f"the application lost {app.lost}": app.lost == 0,
            f"the application got {app.duplicated} twice": app.duplicated == 0,
            f"{self.disordered} came after a later one": self.disordered == 0,
            f"the first event after a slot was {added_ms} ms late, any {machine_ms} ms": (
                added_ms is not None
                and machine_ms is not None
                and added_ms <= max(FIRST_EVENT_ADDED_P99_MS, TRIPS * machine_ms)
            ),
        }
        return [sentence for sentence, held in holds.items() if not held]


def handovers(
    told: Iterable[Mapping[str, Any]],
    acked_s: Mapping[int, float],
    calm_p99_s: float | None,
    app: Deliveries,
    receipts: tuple[Mapping[str, Receipts], Mapping[str, Receipts]],
    told_lost: int,
) -> Handovers:
    """Put together from what the clients told; `receipts` are the wire's and the application's."""
    told = list(told)
    firsts = [(seq, at) for one in told for _, seq, at in one["slots"] if seq in acked_s]
    latencies_ms = [max(0.0, at - acked_s[seq]) * 1000 for seq, at in firsts]
    at_s = _receipts_s(receipts[0].values(), {seq for seq, _ in firsts})
    medians_s = {seq: median(moments) for seq, moments in at_s.items() if len(moments) > 1}
    late_ms = [(at - s) * 1000 for seq, s in medians_s.items() for at in at_s[seq]]
    added_ms = [(at - medians_s.get(seq, acked_s[seq])) * 1000 for seq, at in firsts]
    p99_ms = percentile(latencies_ms, 0.99)
    over_calm_ms = None
    if p99_ms is not None and calm_p99_s is not None:
        over_calm_ms = p99_ms - calm_p99_s * 1000
    return Handovers(
        app=app,
        disordered=sum(one.disordered for side in receipts for one in side.values()),
        slots=len(firsts),
        first_event_p50_ms=percentile(latencies_ms, 0.5),
        first_event_p99_ms=p99_ms,
        first_event_p99_over_calm_ms=over_calm_ms,
        first_event_added_p50_ms=percentile(added_ms, 0.5),
        first_event_added_p99_ms=percentile(added_ms, 0.99),
        bystanders_added_p99_ms=percentile(late_ms, 0.99),
        told_lost=told_lost,
    )


def _receipts_s(receipts: Iterable[Receipts], seqs: set[int]) -> dict[int, list[float]]:
    """When the clients had each of these events."""
    at_s: dict[int, list[float]] = {seq: [] for seq in seqs}
    for one in receipts:
        for seq, at in zip(one.seqs, one.at_s, strict=True):
            if seq in at_s:
                at_s[seq].append(at)
    return at_s
