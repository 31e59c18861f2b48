"""The life of one stream, as one table.

Rules: a stream changes its phase by `Stream.enter` only, which refuses what is not in
`TRANSITIONS`: that would be a stream counted or ended twice. The registry keeps its lists in step.

::

    OPEN --goodbye, hands over--> LINGERING --deadline, cut--+
      |                                                      v
      +--goodbye, error, time-out, cut------------------> CLOSING --+
                                                          ^-cut---- +
    any of them --connection lost--> GONE
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Phase(IntEnum):
    """Where a stream is in its life."""

    OPEN = 0
    """It gets events."""

    LINGERING = 1
    """It has had its goodbye and gets heartbeats only, until its client closes (handover)."""

    CLOSING = 2
    """Its last bytes are on their way, until a deadline."""

    GONE = 3
    """Its connection is lost."""


TRANSITIONS: Final[dict[Phase, frozenset[Phase]]] = {
    Phase.OPEN: frozenset({Phase.LINGERING, Phase.CLOSING, Phase.GONE}),
    Phase.LINGERING: frozenset({Phase.CLOSING, Phase.GONE}),
    # A close that takes too long is followed by a cut, with a deadline of its own.
    Phase.CLOSING: frozenset({Phase.CLOSING, Phase.GONE}),
    Phase.GONE: frozenset(),
}
