"""What a process full of clients has seen: counts, moves, and every event of every client."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate.contract.publish import To
from tidegate.score.deliveries import Deliveries, Ledger, LedgerEntry, check
from tidegate.score.measures import StreamChange, percentile


@dataclass(slots=True)
class Receipts:
    """What one client got. `seqs` in order without repeats, `at_s` the moment of each.

    `first` is the position of the client's first `connected`. An event that came after a later
    one is left out of `seqs` and so counts as lost; `repeated` counts what came again.
    """

    first: int = -1
    last: int = -1
    seqs: array[int] = field(default_factory=lambda: array("q"))
    at_s: array[float] = field(default_factory=lambda: array("d"))
    repeated: int = 0
    disordered: int = 0

    def take(self, seq: int, now: float) -> None:
        """One application event came over the wire at `now`."""
        if seq > self.last:
            self.last = seq
            self.seqs.append(seq)
            self.at_s.append(now)
        elif seq in self.seqs:
            self.repeated += 1
        else:
            self.disordered += 1


@dataclass(slots=True)
class Tally:
    """Counts over all clients of a process; times are monotonic seconds."""

    attempts: int = 0
    bounced: int = 0
    cut_without_goodbye: int = 0
    failed_connects: int = 0
    non_200: int = 0
    clients_dead: int = 0
    gaps: int = 0
    foreign_events: int = 0
    received: int = 0
    arrivals_s: list[float] = field(default_factory=list)
    offline_s: list[float] = field(default_factory=list)
    changes: list[StreamChange] = field(default_factory=list)
    streams: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    stirred_s: float = 0.0
    delays: list[tuple[float, float]] = field(default_factory=list)

    def begin_counting(self) -> None:
        """Count moves from now on.

        A fleet that all clients have just joined is evened out first; those moves are not the
        rolling update's. Faults (losses, cuts, failures) are counted from the first connect on.
        """
        self.attempts = 0
        self.arrivals_s.clear()
        self.offline_s.clear()

    def late_s(self, start_s: float, end_s: float) -> float:
        """By how much this process itself was late at most, between two moments.

        A measurement by a process that oversleeps describes the machine, not the fleet.
        """
        return max((late for at, late in self.delays if start_s <= at <= end_s), default=0.0)

    def changed(self, now: float, pod: str, delta: int) -> None:
        """A stream was established on (1) or ended at (-1) a pod."""
        self.changes.append(StreamChange(now, pod, delta))
        self.streams[pod] = self.streams.get(pod, 0) + delta
        self.stirred_s = now

    def moved(self, now: float, offline_s: float) -> None:
        """A client that had a stream before has its next one."""
        self.arrivals_s.append(now)
        self.offline_s.append(offline_s)

    def failed(self, why: str) -> None:
        """A connection was refused, timed out, or ended before the response's head."""
        self.failed_connects += 1
        self.failures[why] = self.failures.get(why, 0) + 1

    def progress(self) -> dict[str, Any]:
        """The little that a progress display needs."""
        return {
            "streams": self.streams,
            "moves": len(self.arrivals_s),
            "received": self.received,
            "cuts": self.cut_without_goodbye,
            "failed": self.failed_connects,
            "dead": self.clients_dead,
            "stirred_s": self.stirred_s,
        }


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time whose latencies are compared, monotonic seconds."""

    start_s: float
    end_s: float


def read_ledger(rows: Iterable[tuple[int, Any, float]]) -> list[LedgerEntry]:
    """A ledger from its JSON rows ``[seq, to, acked_s]``."""
    return [LedgerEntry(int(seq), To.from_json(to), float(at)) for seq, to, at in rows]


def check_all(
    clients: Mapping[str, tuple[tuple[str, ...], Receipts]], ledger: Ledger
) -> Deliveries:
    """Every client's receipts against the ledger; clients that never connected expect nothing."""
    total = Deliveries()
    for name, (topics, receipts) in clients.items():
        expected = set[int]()
        if receipts.first >= 0:
            expected = ledger.expected(name, topics, receipts.first)
        total += check(expected, receipts.seqs, receipts.repeated)
    return total


def latency_p99_s(
    receipts: Iterable[Receipts], acked_s: Mapping[int, float], window: Window
) -> float | None:
    """p99 from acknowledgement to receipt of the events acknowledged within the window.

    A receipt before the publisher's acknowledgement counts as 0.
    """
    inside = {seq: at for seq, at in acked_s.items() if window.start_s <= at < window.end_s}
    latencies = [
        max(0.0, at - inside[seq])
        for one in receipts
        for seq, at in zip(one.seqs, one.at_s, strict=True)
        if seq in inside
    ]
    return percentile(latencies, 0.99)
