"""The life of a pod's streams, as one table.

Rules: everything that changes the state stands in `TRANSITIONS`; an event that is not there for
the state raises `IllegalTransitionError` and changes nothing. Kubernetes decides what must be
repeatable: the kubelet may call preStop twice, SIGTERM comes at any moment, also without a preStop
(KEP-753, "Termination of containers"), and also before the ring was ever filled.

::

    starting --filled--> ready --prestop--> draining --last_stream_gone--> drained
        any of them --sigterm--> stopping
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from tidegate.contract.errors import IllegalTransitionError
from tidegate.contract.report import PlanKind, PodState


class Event(Enum):
    """What can happen to a pod's streams as a whole."""

    FILLED = "filled"
    """The ring holds the backplane's last events: the pod may serve."""

    PRESTOP = "prestop"
    """The kubelet has called the hook: the pod is going away."""

    LAST_STREAM_GONE = "last_stream_gone"
    """A draining pod has no stream left, not even one that is being handed over."""

    SIGTERM = "sigterm"
    """The process must end now."""


TRANSITIONS: Final[dict[tuple[PodState, Event], PodState]] = {
    ("starting", Event.FILLED): "ready",
    ("starting", Event.PRESTOP): "draining",
    ("starting", Event.SIGTERM): "stopping",
    ("ready", Event.PRESTOP): "draining",
    ("ready", Event.SIGTERM): "stopping",
    # The ring may fill while a pod that never got ready drains: nothing changes.
    ("draining", Event.FILLED): "draining",
    ("draining", Event.PRESTOP): "draining",
    ("draining", Event.LAST_STREAM_GONE): "drained",
    ("draining", Event.SIGTERM): "stopping",
    ("drained", Event.FILLED): "drained",
    ("drained", Event.PRESTOP): "drained",
    ("drained", Event.SIGTERM): "stopping",
    ("stopping", Event.FILLED): "stopping",
    ("stopping", Event.PRESTOP): "stopping",
    ("stopping", Event.SIGTERM): "stopping",
}

PLANS_HEEDED: Final[dict[PodState, frozenset[PlanKind]]] = {
    "starting": frozenset(),
    "ready": frozenset({"shed"}),
    "draining": frozenset({"wait", "drain"}),
    "drained": frozenset(),
    "stopping": frozenset(),
}
"""Which of the operator's plans mean anything in a state; the others have no effect there."""


def after(state: PodState, event: Event) -> PodState:
    """The state that follows `event`; raises `IllegalTransitionError` where none does."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransitionError(f"{event.value} cannot happen while {state}") from None
