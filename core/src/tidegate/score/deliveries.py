"""Every event checked: what a client should have got, against what came over its wire.

The ledger holds the publishes that were acknowledged, with their audience. A client expects those
of its audience above the position of its first `connected` and acknowledged early enough before
the end to have arrived (`SETTLE_S`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from tidegate.contract.publish import To

SETTLE_S = 2.0
"""An event acknowledged later than this before the end is not expected any more."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One acknowledged publish: its sequence number, audience, and when the answer came."""

    seq: int
    to: To
    acked_s: float


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Counts over all clients. `received` is every event on the wire, repeated ones included."""

    received: int = 0
    expected: int = 0
    lost: int = 0
    duplicated: int = 0

    def __add__(self, other: Deliveries) -> Deliveries:
        """The counts of two sets of clients together."""
        return Deliveries(
            self.received + other.received,
            self.expected + other.expected,
            self.lost + other.lost,
            self.duplicated + other.duplicated,
        )


class Ledger:
    """The acknowledged publishes, indexed by audience. `end_s` is when listening stopped."""

    def __init__(self, entries: Iterable[LedgerEntry], end_s: float) -> None:
        self._everyone: list[int] = []
        self._by_topic: dict[str, list[int]] = {}
        self._by_client: dict[str, list[int]] = {}
        for entry in entries:
            if entry.acked_s > end_s - SETTLE_S:
                continue
            if entry.to.everyone:
                self._everyone.append(entry.seq)
            elif entry.to.client is not None:
                self._by_client.setdefault(entry.to.client, []).append(entry.seq)
            for topic in entry.to.topics:
                self._by_topic.setdefault(topic, []).append(entry.seq)

    def expected(self, client: str | None, topics: Collection[str], after: int) -> set[int]:
        """The sequence numbers above `after` that this client must have received."""
        due = {seq for seq in self._everyone if seq > after}
        if client is not None:
            due.update(seq for seq in self._by_client.get(client, ()) if seq > after)
        for topic in topics:
            due.update(seq for seq in self._by_topic.get(topic, ()) if seq > after)
        return due


def check(expected: set[int], received: Iterable[int], repeated: int) -> Deliveries:
    """One client's counts: `received` in order without repeats, `repeated` deliveries beside it.

    An event that came after a later one must be left out of `received`: it is lost to a client
    that resumes by cursor.
    """
    got = set(received)
    return Deliveries(
        received=len(got) + repeated,
        expected=len(expected),
        lost=len(expected - got),
        duplicated=repeated,
    )
