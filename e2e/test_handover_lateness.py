"""A first event that is late is the machine's doing only where bystanders wait as well."""

from __future__ import annotations

import pytest

from e2e.handover.outcome import DELIVERIES, handovers
from tidegate.score.deliveries import Deliveries
from tidegate_lab.load.tally import Receipts

CLIENTS = 100
ACKED = {seq: float(seq) for seq in range(100)}


def receipts(late_s: float) -> dict[str, Receipts]:
    """Every event on time for most clients, `late_s` late for every fifth."""
    found = {}
    for n in range(CLIENTS):
        found[str(n)] = Receipts(first=0)
        for seq, at in ACKED.items():
            found[str(n)].seqs.append(seq)
            found[str(n)].at_s.append(at + (0.0 if n % 5 else late_s))
    return found


@pytest.mark.parametrize(
    ("moving_s", "others_s", "missed"),
    [(0.05, 0.0, False), (0.2, 0.0, True), (0.2, 0.08, False), (0.5, 0.08, True)],
)
def test_late_only_for_those_that_move_is_the_handovers_fault(
    moving_s: float, others_s: float, missed: bool
) -> None:
    """Beyond 100 ms it must be at most three times as late as for a bystander."""
    told = [{"slots": [(0, seq, at + moving_s) for seq, at in ACKED.items()]}]
    app = Deliveries(received=DELIVERIES)
    seen = handovers(told, ACKED, 0.0, app, (receipts(others_s), {}), 0)
    assert bool(seen.missed()) is missed, seen
