"""The settings of streams and their bounds, each declared once (`contract.settings`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tidegate.contract.kinds import integer, number, or_empty, origins, switch
from tidegate.contract.settings import DAY_S, HOUR_MS, setting

_MIB: Final = 2**20
_GIB: Final = 2**30


@dataclass(frozen=True, slots=True)
class CommonStreamSettings:
    """How streams are served, by the hub and by the proxy."""

    retry: bool = setting("on", switch(), "Whether streams get a `retry:`.", annotation=True)
    retry_base_ms: int = setting(
        "1000",
        integer(1, HOUR_MS, "milliseconds"),
        "The shortest `retry:` of a stream.",
        annotation=True,
    )
    crash_spread_max_ms: int = setting(
        "10000",
        integer(0, HOUR_MS, "milliseconds"),
        "The widest spread added to `retry:`, over all streams.",
        annotation=True,
    )
    accept_rate_per_s: float = setting(
        "1000",
        number(1, 1_000_000, "streams a second"),
        "Reconnects that the fleet takes; sets the width of the spread.",
        annotation=True,
    )
    heartbeat_s: float = setting(
        "15",
        number(1, 3600, "seconds"),
        "Silence after which a stream gets a comment line; below proxies' idle timeouts (60 s).",
        annotation=True,
    )
    write_timeout_s: float = setting(
        "60",
        number(1, 3600, "seconds"),
        "A stream whose client reads nothing for this long is ended.",
        annotation=True,
    )
    header_timeout_s: float = setting(
        "10",
        number(0.1, 600, "seconds"),
        "Time a connection has to send its request's headers.",
        was=("handshake_timeout_s",),
    )


@dataclass(frozen=True, slots=True)
class StreamSettings(CommonStreamSettings):
    """How the hub serves streams."""

    cursor_every_s: float = setting(
        "180",
        number(1, DAY_S, "seconds"),
        "Interval at which a quiet stream gets its position.",
    )
    cors_origins: tuple[str, ...] = setting(
        "",
        or_empty(origins(), "no other origin", ()),
        "Other origins whose pages may read the streams; listed ones with credentials.",
        annotation=True,
    )
    replay: bool = setting(
        "on", switch(), "Whether a returning client gets the events it missed.", annotation=True
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
        "Most events replayed to one stream; beyond that a gap.",
    )
    replay_max_bytes: int = setting(
        str(16 * _MIB),
        integer(0, 64 * _GIB, "bytes"),
        "Most bytes replayed to one stream; beyond that a gap.",
    )
    replay_bytes_per_s: int = setting(
        str(64 * _MIB),
        integer(1024, 64 * _GIB, "bytes a second"),
        "Bound of all replays together, so that live delivery goes first.",
    )


@dataclass(frozen=True, slots=True)
class CommonLimits:
    """Bounds of hub and proxy: beyond `max_streams` and `max_new_streams_per_s` a bounce."""

    max_streams: int = setting(
        "20000",
        integer(1, 10_000_000, "streams"),
        "Streams per pod; more are sent to other pods. About 3 kB and one descriptor each.",
        annotation=True,
    )
    max_new_streams_per_s: float | None = setting(
        "",
        or_empty(number(1, 1_000_000, "streams a second"), "no limit"),
        "New streams a second per pod; each of the others is sent away until its slot in a queue. "
        "For what is slower than the pod itself: sending a client away costs it as much CPU.",
        annotation=True,
    )
    max_header_bytes: int = setting(
        str(16 * 1024),
        integer(256, _MIB, "bytes"),
        "Request line and headers together; proxies in front allow 16 KiB, too.",
    )


@dataclass(frozen=True, slots=True)
class Limits(CommonLimits):
    """Bounds of the hub; beyond them a 4xx."""

    max_streams_per_client: int = setting(
        "32",
        integer(1, 1_000_000, "streams"),
        "Streams per client id and pod: a browser opens up to 6 per origin, a user may have more.",
        annotation=True,
    )
    max_stream_bytes: int = setting(
        str(192 * _MIB),
        integer(_MIB, 64 * _GIB, "bytes"),
        "Memory of all streams and what their clients do not read. From three quarters on new ones "
        "are sent away, above it the slowest are ended. Less where the pod's memory limit is low.",
        was=("max_pending_bytes",),
    )
    max_topics_per_stream: int = setting(
        "64",
        integer(1, 10_000, "topics"),
        "Topics per stream; bounds the size of an audience.",
    )
    max_event_bytes: int = setting(
        str(256 * 1024),
        integer(1, 64 * _MIB, "bytes"),
        "Data of one event. A broker takes 1 MiB by default; clients stop at a longer line.",
        annotation=True,
    )
