"""What a JetStream backplane is told, and what stream it makes where there is none."""

from __future__ import annotations

from dataclasses import dataclass

from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from tidegate.contract.publish import IDEMPOTENCY_WINDOW_S


@dataclass(frozen=True, slots=True)
class JetStreamSettings:
    """`url` of the server (several with commas), `stream` its name; durations in seconds.

    `ring_events` are read at start; the stream keeps `keep_events`, `keep_bytes` and `keep_s` of
    the past, whichever is least. A stream that exists already is used as it is. An append gives up
    after `append_timeout_s`, a single try after `attempt_timeout_s`; a canary is sent after
    `canary_every_s` of silence and has `canary_limit_s` to come back.
    """

    url: str
    stream: str
    ring_events: int
    keep_events: int
    keep_bytes: int
    keep_s: float = 86_400.0
    append_timeout_s: float = 4.0
    attempt_timeout_s: float = 1.5
    canary_every_s: float = 5.0
    canary_limit_s: float = 3.0
    max_in_flight: int = 20_000

    @property
    def subject(self) -> str:
        """Where events are appended; one subject, so that the stream is one order."""
        return f"tidegate.{self.stream}"

    @property
    def servers(self) -> list[str]:
        """The addresses, one by one."""
        return [url.strip() for url in self.url.split(",") if url.strip()]

    def stream_config(self) -> StreamConfig:
        """The stream to make: on disk, bounded, the oldest goes first."""
        return StreamConfig(
            name=self.stream,
            subjects=[self.subject],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            max_msgs=self.keep_events,
            max_bytes=self.keep_bytes,
            max_age=self.keep_s,
            duplicate_window=IDEMPOTENCY_WINDOW_S,
            num_replicas=1,
        )
