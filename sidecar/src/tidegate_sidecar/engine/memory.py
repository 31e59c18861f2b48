"""The memory of all streams of a pod as one budget.

Each stream costs a known amount while it is open, and more where its client asked for it: by the
ordinary way in, or with topics that nothing else asks for. What its transport and the kernel hold
because the client does not read comes on top (`backlog`). Newcomers are bounced from three quarters
of the budget on, so that the last quarter is there for what is not read; above the whole the
slowest streams are ended. A stream that has a full socket cannot be sent a goodbye: it would wait
behind the very bytes that are to be given up.
"""

from __future__ import annotations

from typing import Final

STREAM_BYTES: Final = 1500
"""A stream on its own connection (`make bench` prints 1.2 kB)."""

ORDINARY_BYTES: Final = 9000
"""A stream that is an ASGI response: the web server's objects and three tasks."""

TOPIC_BYTES: Final = 500
"""One topic of an audience: its text and the entry by which events find the audience."""

NEWCOMERS: Final = 0.75
"""The part of the budget up to which new streams are let in."""


class StreamMemory:
    """What open streams cost, out of `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._newcomers_below = max_bytes * NEWCOMERS

    @property
    def is_full(self) -> bool:
        """Whether a new stream is one too many."""
        return self.bytes >= self._newcomers_below

    @property
    def left_bytes(self) -> int:
        """What is left for bytes that clients do not read."""
        return self.max_bytes - self.bytes

    def take(self, cost_bytes: int, topics: int = 0) -> None:
        """A stream is here; with `topics` where it is the first to ask for those."""
        self.bytes += cost_bytes + topics * TOPIC_BYTES

    def give_back(self, cost_bytes: int, topics: int = 0) -> None:
        """It is gone, and with `topics` it was the last."""
        self.bytes -= cost_bytes + topics * TOPIC_BYTES
