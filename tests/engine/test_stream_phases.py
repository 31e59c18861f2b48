"""The life of a stream is a table: it ends once, and nothing brings it back."""

import itertools

import pytest
from engine.enginekit import Bench

from tidegate.contract.errors import IllegalTransitionError
from tidegate_sidecar.engine.phase import TRANSITIONS, Phase

ALLOWED = [(a, b) for a, b in itertools.product(Phase, Phase) if b in TRANSITIONS[a]]
REFUSED = [(a, b) for a, b in itertools.product(Phase, Phase) if b not in TRANSITIONS[a]]


@pytest.mark.parametrize(("before", "after"), ALLOWED)
async def test_what_the_table_allows_is_entered(before: Phase, after: Phase) -> None:
    stream, _ = Bench().open()
    stream.phase = before
    stream.enter(after)
    assert stream.phase is after


@pytest.mark.parametrize(("before", "after"), REFUSED)
async def test_what_it_does_not_allow_raises_and_changes_nothing(
    before: Phase, after: Phase
) -> None:
    stream, _ = Bench().open()
    stream.phase = before
    with pytest.raises(IllegalTransitionError, match=f"{before.name} to {after.name}"):
        stream.enter(after)
    assert stream.phase is before


def test_every_phase_leads_to_the_end() -> None:
    assert TRANSITIONS[Phase.GONE] == frozenset()
    assert all(Phase.GONE in TRANSITIONS[phase] for phase in Phase if phase is not Phase.GONE)


async def test_a_connection_lost_twice_is_counted_once() -> None:
    bench = Bench()
    stream, _ = bench.open()
    stream.connection_lost(None)
    with pytest.raises(IllegalTransitionError):
        stream.connection_lost(None)
    assert dict(bench.engine.ended_total) == {"client": 1}
    assert (bench.engine.open_count, bench.engine.lingering_count) == (0, 0)
