"""The settings of a JetStream backplane, and the stream that it makes where there is none."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

from tidegate.contract.acknowledge import StreamKey
from tidegate.contract.publish import IDEMPOTENCY_WINDOW_S

_NOT_IN_A_KEY = re.compile(r"[^0-9A-Za-z_-]")


@dataclass(frozen=True, slots=True)
class JetStreamSettings:
    """`url` of the server (several with commas), `stream` its name; durations in seconds.

    `ring_events` are read at start; the stream keeps `kept_rings` times the ring's events and bytes
    (more than one ring, so that a pod that fills its own races with nothing) and `keep_s` of the
    past, whichever is least. A stream that exists already is used as it is. An append gives up
    after `append_timeout_s`, a single try after `attempt_timeout_s`; a canary is sent after
    `canary_every_s` of silence and has `canary_limit_s` to come back. Acknowledged positions are
    kept for `keep_acks_s` (longer than events: a late client shall get its gap) and in
    `keep_acks_bytes`, at most 256 bytes each.
    """

    url: str
    stream: str
    ring_events: int
    ring_bytes: int
    kept_rings: float = 2.0
    keep_s: float = 86_400.0
    append_timeout_s: float = 4.0
    attempt_timeout_s: float = 1.5
    canary_every_s: float = 5.0
    canary_limit_s: float = 3.0
    max_in_flight: int = 20_000
    keep_acks_s: float = 7 * 86_400.0
    keep_acks_bytes: int = 32 * 2**20

    @property
    def keep_events(self) -> int:
        """The most events that the stream keeps."""
        return round(self.ring_events * self.kept_rings)

    @property
    def keep_bytes(self) -> int:
        """The bytes that the stream reserves in the store."""
        return round(self.ring_bytes * self.kept_rings)

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

    @property
    def acks_bucket(self) -> str:
        """The KV bucket of acknowledged positions."""
        return f"{self.stream}-acks"

    @property
    def acks_stream(self) -> str:
        """The stream behind the bucket (NATS ADR-8)."""
        return f"KV_{self.acks_bucket}"

    def acks_subject(self, key: StreamKey) -> str:
        """Where a position is kept: a bucket's keys take fewer signs than a client's id."""
        client, stream = (_NOT_IN_A_KEY.sub(_escaped, part) for part in key)
        return f"$KV.{self.acks_bucket}.{client}.{stream}"

    def acks_subjects(self, client: str) -> str:
        """Where all positions of a client are kept."""
        return f"$KV.{self.acks_bucket}.{_NOT_IN_A_KEY.sub(_escaped, client)}.*"

    def acks_stream_config(self) -> StreamConfig:
        """The bucket to make: one position per key, the least recently moved goes first."""
        return StreamConfig(
            name=self.acks_stream,
            subjects=[f"$KV.{self.acks_bucket}.>"],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            max_msgs_per_subject=1,
            max_bytes=self.keep_acks_bytes,
            max_age=self.keep_acks_s,
            allow_rollup_hdrs=True,
            num_replicas=1,
        )


def subject_matches(pattern: str, subject: str) -> bool:
    """Whether a stream's `pattern` takes `subject` (``*`` one token, ``>`` all that follow)."""
    wanted, given = pattern.split("."), subject.split(".")
    for at, part in enumerate(wanted):
        if part == ">":
            return len(given) > at
        if at >= len(given) or part not in ("*", given[at]):
            return False
    return len(wanted) == len(given)


def _escaped(sign: re.Match[str]) -> str:
    return f"={ord(sign[0]):02X}"
