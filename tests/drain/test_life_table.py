"""The life of a pod as a table."""

from __future__ import annotations

import itertools

import pytest

from tidegate.contract.drain_settings import DrainSettings
from tidegate.contract.errors import IllegalTransitionError
from tidegate.contract.report import POD_STATES, PodState
from tidegate.contract.stream_settings import StreamSettings
from tidegate.drain.drain import Drain
from tidegate.drain.life import (
    PLANS_HEEDED,
    TRANSITIONS,
    Event,
    after,
)


def test_every_state_is_in_the_table_and_reachable() -> None:
    assert {state for state, _ in TRANSITIONS} == set(POD_STATES) == set(PLANS_HEEDED)
    reached = {"starting"}
    for _ in POD_STATES:
        reached |= {to for (state, _), to in TRANSITIONS.items() if state in reached}
    assert reached == set(POD_STATES)


@pytest.mark.parametrize(
    ("state", "event"),
    [pair for pair in itertools.product(POD_STATES, Event) if pair not in TRANSITIONS],
    ids=lambda x: getattr(x, "value", x),
)
def test_an_illegal_transition_raises_and_names_both(state: PodState, event: Event) -> None:
    with pytest.raises(IllegalTransitionError, match=f"{event.value} .* {state}"):
        after(state, event)


def test_an_illegal_event_changes_nothing() -> None:
    drain = Drain(DrainSettings(), StreamSettings())
    drain.filled()
    with pytest.raises(IllegalTransitionError):
        drain.filled()
    assert drain.state == "ready"


def test_preStop_and_SIGTERM_may_come_twice_and_at_any_time() -> None:
    for before in ([], ["filled"], ["filled", "prestop"]):
        drain = Drain(DrainSettings(), StreamSettings())
        for name in before:
            getattr(drain, name)(*([] if name == "filled" else [1.0]))
        drain.prestop(5.0)
        drain.prestop(9.0)
        assert drain.prestop_at == (1.0 if "prestop" in before else 5.0)
        drain.sigterm(10.0)
        drain.sigterm(11.0)
        assert (drain.state, drain.sigterm_at) == ("stopping", 10.0)
