"""The sidecar's settings, one line each: name, default, what is allowed, what it means.

The same table parses the environment, prints the help and is compared with the documentation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tidegate.contract import env, names
from tidegate.contract.kinds import Kind, choice, integer, number, origins, pattern, url
from tidegate.drain.settings import MODES
from tidegate_sidecar.settings_kinds import or_empty, or_word, several, switch

_PORT = integer(0, 65535, "(0: any free port)")
_PATH = pattern(r"/[^\0]{1,4095}", "an absolute path")
_DAY_S = 86_400
_HOUR_MS = 3_600_000
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable: its `default` as text, its `kind`, and `help` in one sentence."""

    name: str
    default: str
    kind: Kind
    help: str


TABLE: Final[tuple[Setting, ...]] = (
    Setting(
        env.HOST,
        "0.0.0.0",  # noqa: S104 - the pod's address is the point
        pattern(r"[0-9A-Za-z.:-]+", "an address to listen on"),
        "Where the public and the admin port listen; publish is always on 127.0.0.1.",
    ),
    Setting(env.PUBLIC_PORT, str(names.PUBLIC_PORT), _PORT, "Port of the streams."),
    Setting(env.ADMIN_PORT, str(names.ADMIN_PORT), _PORT, "Port of probes, hooks and metrics."),
    Setting(env.PUBLISH_PORT, str(names.PUBLISH_PORT), _PORT, "Loopback port of the application."),
    Setting(
        env.POD_NAME,
        "",
        pattern(r"[0-9A-Za-z.-]{0,253}", "a pod's name, or empty (the host's name)"),
        "The pod's name, told to clients in `connected`.",
    ),
    Setting(
        env.POD_UID,
        "",
        pattern(r"[0-9A-Za-z.-]{0,253}", "a pod's UID, or empty (the pod's name)"),
        "The pod's UID, by which the operator knows it.",
    ),
    Setting(
        env.POD_TOKEN,
        "",
        pattern(r"[!-~]{0,4096}", "printable ASCII without spaces, or empty (no token wanted)"),
        "Token that the preStop hook must show; reports carry it where there is no other.",
    ),
    Setting(
        env.BACKPLANE,
        "memory",
        or_word("memory", several(url("nats", "tls"))),
        "The log between pods: memory serves one pod only.",
    ),
    Setting(
        env.BACKPLANE_STREAM,
        "TIDEGATE",
        pattern(r"[0-9A-Za-z_-]{1,64}", "1 to 64 of 0-9 A-Z a-z _ -"),
        "Name of the stream in the backplane; one per application.",
    ),
    Setting(
        env.OPERATOR_URL,
        "",
        or_empty(url("http", "https"), "no operator"),
        "Where to report; without one the pod drains by its own plan.",
    ),
    Setting(
        env.OPERATOR_TOKEN_FILE,
        "",
        or_empty(_PATH, "the pod's token is shown"),
        "File of the projected token that reports carry; read again as it is renewed.",
    ),
    Setting(
        env.OPERATOR_CA_FILE,
        "",
        or_empty(_PATH, "what the system trusts"),
        "File of the CA that the operator's certificate is checked by.",
    ),
    Setting(
        env.LOG_LEVEL,
        "info",
        choice("debug", "info", "warning", "error"),
        "The least severe log lines written (JSON, to stderr).",
    ),
    Setting(
        env.GRACE_S,
        "30",
        number(1, _DAY_S, "seconds"),
        "The pod's terminationGracePeriodSeconds.",
    ),
    Setting(
        env.RESERVE_S,
        "5",
        number(0, _DAY_S, "seconds"),
        "End of the grace period left to the application: its stop time + 2 s.",
    ),
    Setting(
        env.LINGER_S,
        "5",
        number(0, 600, "seconds"),
        "The least preStop lasts, so that the last router has forgotten the pod.",
    ),
    Setting(
        env.LOCAL_WINDOW_S,
        "",
        or_empty(number(1, _DAY_S, "seconds"), "the second half of grace - reserve"),
        "The pod's own plan starts at once and takes this long, for nodes that leave early (spot).",
    ),
    Setting(
        env.DRAIN,
        "even",
        choice(*MODES),
        "even: slots; fixed: goodbye to all at once; cut: end all at SIGTERM; off: neither.",
    ),
    Setting(
        env.PRESTOP_SLEEP_S,
        "0",
        number(0, 600, "seconds"),
        "How long preStop sleeps in the mode cut.",
    ),
    Setting(
        env.SHUTDOWN_RETRY_MS,
        "5000",
        integer(1, _HOUR_MS, "milliseconds"),
        "The `retry:` of a goodbye in the mode fixed.",
    ),
    Setting(env.RETRY, "on", switch(), "Whether streams are given a `retry:` at all."),
    Setting(
        env.RETRY_BASE_MS,
        "1000",
        integer(1, _HOUR_MS, "milliseconds"),
        "The shortest `retry:` a stream is given.",
    ),
    Setting(
        env.CRASH_SPREAD_MAX_MS,
        "10000",
        integer(0, _HOUR_MS, "milliseconds"),
        "The most by which `retry:` is spread over the streams.",
    ),
    Setting(
        env.ACCEPT_RATE_PER_S,
        "1000",
        number(1, 1_000_000, "streams a second"),
        "How many returning clients the fleet takes; sets the width of the spread.",
    ),
    Setting(
        env.HEARTBEAT_S,
        "15",
        number(1, 3600, "seconds"),
        "Silence after which a stream gets a comment line; below proxies' idle timeouts (60 s).",
    ),
    Setting(
        env.CURSOR_EVERY_S,
        "180",
        number(1, _DAY_S, "seconds"),
        "How often a quiet stream is told the position it has reached.",
    ),
    Setting(
        env.WRITE_TIMEOUT_S,
        "60",
        number(1, 3600, "seconds"),
        "How long a client may not read before its stream is ended.",
    ),
    Setting(
        env.HANDSHAKE_TIMEOUT_S,
        "10",
        number(0.1, 600, "seconds"),
        "How long a connection may take to send its request's headers.",
    ),
    Setting(
        env.CORS_ORIGINS,
        "",
        or_empty(origins(), "no other origin"),
        "Pages that may read the streams from another origin; listed ones with credentials.",
    ),
    Setting(env.REPLAY, "on", switch(), "Whether a returning client gets what it missed."),
    Setting(
        env.RING_EVENTS,
        "10000",
        integer(1, 10_000_000, "events"),
        "Events kept in memory for replay.",
    ),
    Setting(
        env.RING_BYTES,
        str(64 * 2**20),
        integer(4096, 64 * _GIB, "bytes"),
        "Bytes kept in memory for replay.",
    ),
    Setting(
        env.REPLAY_MAX_EVENTS,
        "10000",
        integer(0, 10_000_000, "events"),
        "The most events one returning stream gets; beyond that a gap.",
    ),
    Setting(
        env.REPLAY_MAX_BYTES,
        str(16 * 2**20),
        integer(0, 64 * _GIB, "bytes"),
        "The most bytes one returning stream gets; beyond that a gap.",
    ),
    Setting(
        env.REPLAY_BYTES_PER_S,
        str(64 * 2**20),
        integer(1024, 64 * _GIB, "bytes a second"),
        "What all replays together may take, so that live delivery is not starved.",
    ),
    Setting(
        env.MAX_STREAMS,
        "20000",
        integer(1, 10_000_000, "streams"),
        "Streams per pod; the next is sent to another pod. About 3 kB and one descriptor each.",
    ),
    Setting(
        env.MAX_STREAMS_PER_CLIENT,
        "32",
        integer(1, 1_000_000, "streams"),
        "Streams per client id here: a browser opens up to 6 per origin, people use several.",
    ),
    Setting(
        env.MAX_TOPICS_PER_STREAM,
        "64",
        integer(1, 10_000, "topics"),
        "Topics one stream may ask for; bounds the size of an audience.",
    ),
    Setting(
        env.MAX_EVENT_BYTES,
        str(256 * 1024),
        integer(1, 64 * 2**20, "bytes"),
        "Data of one event. Defaults: NATS takes 1 MiB, clients stop (oversized) at a longer line.",
    ),
    Setting(
        env.MAX_HEADER_BYTES,
        str(16 * 1024),
        integer(256, 2**20, "bytes"),
        "A request's line and headers together; 16 KiB is what proxies in front allow, too.",
    ),
)
