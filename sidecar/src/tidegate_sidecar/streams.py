"""The port between the streaming engine and everything else in the sidecar.

The engine holds the streams and knows how to write to all of them; the drain, the report, the
admin pages and the publish port only need the few verbs below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tidegate.contract.stream_events import ShutdownReason


@dataclass(frozen=True, slots=True)
class Goodbye:
    """How a stream is let go: the words of `shutdown`, and how long a handover may take."""

    reason: ShutdownReason
    retry_ms: int
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """One open stream, as `/clients` shows it. `age_s` since it was accepted."""

    stream: str
    client: str | None
    topics: tuple[str, ...]
    age_s: float
    cursor: str
    lagging: bool


class Streams(Protocol):
    """What the shell may ask of the engine. All calls are made on the engine's loop."""

    refusing: ShutdownReason | None
    """Why new streams are bounced (200 + `retry:` + `shutdown` + end); ``None``: accepted."""

    closing: bool
    """Whether every ordinary HTTP answer carries ``Connection: close`` (draining, un-admitted)."""

    bounce_retry_ms: int
    """The `retry:` of a bounce."""

    @property
    def open_count(self) -> int:
        """Streams open now that have not had their goodbye (a handover's remainder not counted)."""

    @property
    def lingering_count(self) -> int:
        """Streams that have had their goodbye and are still open."""

    @property
    def arrived_total(self) -> int:
        """Streams ever accepted; grows only."""

    @property
    def ended_total(self) -> Mapping[str, int]:
        """Streams ever ended, by cause (`client`, `drain`, `shed`, `slow`, `error`, ...)."""

    @property
    def bounced_total(self) -> Mapping[str, int]:
        """Streams ever bounced, by reason (`drain`, `overloaded`, `starting`, ...)."""

    @property
    def refused_total(self) -> Mapping[str, int]:
        """Stream requests ever refused, by error code (`too_many_streams`, `bad_topic`, ...)."""

    @property
    def counters(self) -> Mapping[str, int]:
        """Engine counters for `/metrics`: events, deliveries, bytes, gaps, stalls."""

    def let_go(self, count: int, goodbye: Goodbye) -> int:
        """Say goodbye to up to `count` streams; returns how many it was.

        The oldest go first, and those that hand over in step with those that do not.
        """

    def end_client(self, client: str, goodbye: Goodbye) -> int:
        """Say goodbye to every stream of a client here; returns how many it had."""

    def cut_all(self) -> int:
        """End every stream without a goodbye, at once; returns how many there were."""

    def clients(self) -> Mapping[str, int]:
        """Open streams per client id."""

    def streams_of(self, client: str) -> Sequence[StreamInfo]:
        """The open streams of one client."""
