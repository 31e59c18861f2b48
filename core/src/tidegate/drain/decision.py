"""A drain's answer: how many streams to let go now, with which goodbye, and when to ask again."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.contract.stream_events import ShutdownReason


@dataclass(frozen=True, slots=True)
class Goodbye:
    """How a stream is let go.

    `reason` and `retry_ms` go into its `shutdown` event; a handover may take `deadline_ms`.
    """

    reason: ShutdownReason
    retry_ms: int
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class Decision:
    """What is due: the goodbyes, whether to cut the rest, and when to ask again.

    `goodbyes` are pairs: to so many streams, this goodbye. `due_again_at` is on the caller's
    clock; ``None``: only when something happens.
    """

    goodbyes: tuple[tuple[int, Goodbye], ...] = ()
    cut: bool = False
    due_again_at: float | None = None
