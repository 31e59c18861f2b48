"""The port between the streaming engine and everything else in the sidecar.

The engine holds the streams and knows how to write to all of them; the drain, the report, the
admin pages and the publish port only need the few verbs below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tidegate.contract.stream_events import ShutdownReason
from tidegate.drain.decision import Goodbye


@dataclass(slots=True)
class Gate:
    """How the pod takes new streams now; the drain sets it, admission reads it at each request.

    `refusing` is why they are bounced (200 + `retry:` + `shutdown` + end), ``None`` while they are
    accepted; `bounce_retry_ms` the least `retry:` of a bounce (0: none is sent). `closing`: every
    ordinary HTTP answer carries ``Connection: close`` (draining, un-admitted).
    """

    refusing: ShutdownReason | None = None
    closing: bool = False
    bounce_retry_ms: int = 0


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

    gate: Gate
    """How new streams are answered."""

    @property
    def open_count(self) -> int:
        """Streams open now that have not had their goodbye (a handover's remainder not counted)."""

    @property
    def lingering_count(self) -> int:
        """Streams still open after their goodbye, and in a proxy answers that must finish."""

    @property
    def memory_bytes(self) -> int:
        """Memory of all streams, and of what their clients do not read."""

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
        """Send a goodbye to up to `count` streams; returns their number.

        The oldest go first, and those that hand over in step with those that do not.
        """

    def cut_all(self) -> int:
        """End every stream without a goodbye, at once; returns how many there were."""


class ClientStreams(Streams, Protocol):
    """The same of a hub, which knows whose the streams are."""

    def end_client(self, client: str, goodbye: Goodbye) -> int:
        """Send a goodbye to every stream of a client here; returns their number."""

    def clients(self) -> Mapping[str, int]:
        """Open streams per client id."""

    def streams_of(self, client: str) -> Sequence[StreamInfo]:
        """The open streams of one client."""
