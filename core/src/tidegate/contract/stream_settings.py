"""The settings of streams and their bounds, each declared once (`contract.settings`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tidegate.contract.kinds import integer, number, or_empty, origins, switch
from tidegate.contract.settings import DAY_S, HOUR_MS, setting

_MIB: Final = 2**20
_GIB: Final = 2**30


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How streams are served."""

    retry: bool = setting(
        "on", switch(), "Whether streams are given a `retry:` at all.", annotation=True
    )
    retry_base_ms: int = setting(
        "1000",
        integer(1, HOUR_MS, "milliseconds"),
        "The shortest `retry:` a stream is given.",
        annotation=True,
    )
    crash_spread_max_ms: int = setting(
        "10000",
        integer(0, HOUR_MS, "milliseconds"),
        "The most by which `retry:` is spread over the streams.",
        annotation=True,
    )
    accept_rate_per_s: float = setting(
        "1000",
        number(1, 1_000_000, "streams a second"),
        "How many returning clients the fleet takes; sets the width of the spread.",
        annotation=True,
    )
    heartbeat_s: float = setting(
        "15",
        number(1, 3600, "seconds"),
        "Silence after which a stream gets a comment line; below proxies' idle timeouts (60 s).",
        annotation=True,
    )
    cursor_every_s: float = setting(
        "180",
        number(1, DAY_S, "seconds"),
        "How often a quiet stream is sent the position it has reached.",
    )
    write_timeout_s: float = setting(
        "60",
        number(1, 3600, "seconds"),
        "How long a client may not read before its stream is ended.",
        annotation=True,
    )
    header_timeout_s: float = setting(
        "10",
        number(0.1, 600, "seconds"),
        "How long a connection may take to send its request's headers.",
        was=("handshake_timeout_s",),
    )
    cors_origins: tuple[str, ...] = setting(
        "",
        or_empty(origins(), "no other origin", ()),
        "Pages that may read the streams from another origin; listed ones with credentials.",
        annotation=True,
    )
    replay: bool = setting(
        "on", switch(), "Whether a returning client gets what it missed.", annotation=True
    )
    ring_events: int = setting(
        "10000",
        integer(1, 10_000_000, "events"),
        "Events kept in memory for replay.",
        annotation=True,
    )
    ring_bytes: int = setting(
        str(64 * _MIB),
        integer(4096, 64 * _GIB, "bytes"),
        "Bytes kept in memory for replay; a pod's memory limit must be above it.",
        annotation=True,
    )
    replay_max_events: int = setting(
        "10000",
        integer(0, 10_000_000, "events"),
        "The most events one returning stream gets; beyond that a gap.",
    )
    replay_max_bytes: int = setting(
        str(16 * _MIB),
        integer(0, 64 * _GIB, "bytes"),
        "The most bytes one returning stream gets; beyond that a gap.",
    )
    replay_bytes_per_s: int = setting(
        str(64 * _MIB),
        integer(1024, 64 * _GIB, "bytes a second"),
        "The most all replays together may take, so that live delivery is not starved.",
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds: beyond `max_streams` and `max_new_streams_per_s` a bounce, else a 4xx."""

    max_streams: int = setting(
        "20000",
        integer(1, 10_000_000, "streams"),
        "Streams per pod; the next is sent to another pod. About 3 kB and one descriptor each.",
        annotation=True,
    )
    max_new_streams_per_s: float | None = setting(
        "",
        or_empty(number(1, 1_000_000, "streams a second"), "no limit"),
        "New streams a second per pod; each of the others is sent away until its slot in a queue. "
        "For what is slower than the pod itself: sending a client away costs it as much CPU.",
        annotation=True,
    )
    max_streams_per_client: int = setting(
        "32",
        integer(1, 1_000_000, "streams"),
        "Streams per client id and pod: a browser opens up to 6 per origin, people use several.",
        annotation=True,
    )
    max_pending_bytes: int = setting(
        str(64 * _MIB),
        integer(64 * 1024, 64 * _GIB, "bytes"),
        "Bytes held for clients that do not read, in all; above it the slowest are ended.",
    )
    max_topics_per_stream: int = setting(
        "64",
        integer(1, 10_000, "topics"),
        "Topics one stream may ask for; bounds the size of an audience.",
    )
    max_event_bytes: int = setting(
        str(256 * 1024),
        integer(1, 64 * _MIB, "bytes"),
        "Data of one event. A broker takes 1 MiB by default; clients stop at a longer line.",
        annotation=True,
    )
    max_header_bytes: int = setting(
        str(16 * 1024),
        integer(256, _MIB, "bytes"),
        "A request's line and headers together; 16 KiB is what proxies in front allow, too.",
    )
