"""The sidecar's settings, each declared once: the field that is read, and all that is known of it.

The environment, ``--help``, docs/settings.md, the annotations of a pod, what the injector passes
on and the chart's table and schema are made from these declarations. The groups are handed to the
parts that use them as they are; nothing else holds a default.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from tidegate.contract import kube, names
from tidegate.contract.kinds import (
    choice,
    integer,
    number,
    or_empty,
    or_word,
    origins,
    pattern,
    secret,
    several,
    switch,
    url,
)
from tidegate.contract.settings import (
    LogSettings,
    Problem,
    duplicates,
    group,
    rows,
    setting,
)

DrainMode = Literal["even", "fixed", "cut", "off"]
DRAIN_MODES: Final[tuple[DrainMode, ...]] = ("even", "fixed", "cut", "off")

READ_BATCH_EVENTS: Final = 256
"""Events that are read from a shared log at once, so that one batch does not hold up the loop.

A ring that holds fewer loses some before they are delivered."""

_PORT = integer(0, 65535, "(0: any free port)")
_PORT_OF_A_POD = integer(1024, 65535)
_PATH = pattern(r"/[^\0]{1,4095}", "an absolute path")
_DAY_S = 86_400
_HOUR_MS = 3_600_000
_MIB = 2**20
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Listening:
    """Addresses and ports. Publish listens on loopback only."""

    host: str = setting(
        "0.0.0.0",  # noqa: S104 - the pod's address is the point
        pattern(r"[0-9A-Za-z.:-]+", "an address to listen on"),
        "Where the public port listens, and in an injected pod the admin port; :: for IPv6.",
        annotation={"kind": pattern(r"[0-9A-Fa-f.:]+", "an address to listen on")},
    )
    admin_host: str = setting(
        names.LOOPBACK,
        pattern(r"[0-9A-Za-z.:-]+", "an address to listen on"),
        "Where the admin port listens; the injector sets it to TIDEGATE_HOST, for probes and hook "
        "come to a pod from outside of it. Publish is always on 127.0.0.1.",
    )
    public_port: int = setting(
        str(names.PUBLIC_PORT),
        _PORT,
        "Port of the streams.",
        annotation={
            "key": "port",
            "default": str(kube.INJECTED_PUBLIC_PORT),
            "kind": _PORT_OF_A_POD,
            "help": f"Port of the streams; Services name it {kube.CONTAINER_PORT_STREAMS}.",
        },
    )
    admin_port: int = setting(
        str(names.ADMIN_PORT),
        _PORT,
        "Port of probes, hooks and metrics.",
        annotation={"kind": _PORT_OF_A_POD},
    )
    publish_port: int = setting(
        str(names.PUBLISH_PORT),
        _PORT,
        "Loopback port that the application publishes to.",
        annotation={"kind": _PORT_OF_A_POD},
    )

    def problems(self) -> Iterator[Problem]:
        """Two of the ports are one."""
        return duplicates(
            public_port=self.public_port,
            admin_port=self.admin_port,
            publish_port=self.publish_port,
        )


@dataclass(frozen=True, slots=True)
class Identity:
    """The pod as clients, hooks and the operator see it."""

    pod_name: str = setting(
        "",
        pattern(r"[0-9A-Za-z.-]{0,253}", "a pod's name, or empty (the host's name)"),
        "The pod's name, sent to clients in `connected`.",
    )
    pod_uid: str = setting(
        "",
        pattern(r"[0-9A-Za-z.-]{0,253}", "a pod's UID, or empty (the pod's name)"),
        "The pod's UID, by which the operator identifies it.",
    )
    pod_token: str = setting(
        "",
        secret(pattern(r"[!-~]{0,4096}", "printable ASCII without spaces, or empty (no token)")),
        "Token that the preStop hook must send; reports carry it where there is no other.",
    )


@dataclass(frozen=True, slots=True)
class BackplaneSettings:
    """The log between pods."""

    url: str = setting(
        "memory",
        secret(or_word("memory", several(url("nats", "tls")))),
        "The log between pods: memory serves one pod only.",
        name="backplane",
        annotation={
            "default": "",
            "help": "The log between pods; empty: the cluster's. memory serves one pod only.",
        },
    )
    stream: str = setting(
        "TIDEGATE",
        pattern(r"[0-9A-Za-z_-]{1,64}", "1 to 64 of 0-9 A-Z a-z _ -"),
        "Name of the stream in the backplane; one per application.",
        name="backplane_stream",
        annotation={
            "default": "",
            "help": "Name of the log, one per application; empty: from namespace and workload.",
        },
    )


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """Where and how to report; without a `url` nowhere."""

    url: str | None = setting(
        "",
        or_empty(url("http", "https"), "no operator"),
        "Where to report; without one the pod drains by its own plan.",
        name="operator_url",
    )
    token_file: str | None = setting(
        "",
        or_empty(_PATH, "the pod's own token is sent"),
        "File of the projected token that reports carry; read again as it is renewed.",
        name="operator_token_file",
    )
    ca_file: str | None = setting(
        "",
        or_empty(_PATH, "the system's CAs"),
        "File of the CA that the operator's certificate is checked by.",
        name="operator_ca_file",
    )


@dataclass(frozen=True, slots=True)
class DrainSettings:
    """How this pod lets its streams go."""

    mode: DrainMode = setting(
        "even",
        choice(*DRAIN_MODES),
        "even: slots; fixed: goodbye to all at once; cut: end all at SIGTERM; off: neither.",
        name="drain",
        annotation=True,
    )
    grace_s: float = setting(
        "30",
        number(1, _DAY_S, "seconds"),
        "The pod's terminationGracePeriodSeconds.",
        annotation={
            "default": "",
            "kind": integer(2, _DAY_S, "seconds"),
            "help": "Sets terminationGracePeriodSeconds; empty: the pod's own stays.",
        },
    )
    reserve_s: float = setting(
        "5",
        number(0, _DAY_S, "seconds"),
        "End of the grace period left to the application: its stop time + 2 s.",
        annotation={"default": ""},
    )
    linger_s: float = setting(
        "5",
        number(0, 600, "seconds"),
        "The least preStop lasts, so that the last router has forgotten the pod; more behind "
        "cloud load balancers.",
        annotation=True,
    )
    local_window_s: float | None = setting(
        "",
        or_empty(number(1, _DAY_S, "seconds"), "the second half of grace - reserve"),
        "The pod's own plan starts at once and takes this long, for nodes that leave early (spot).",
        annotation=True,
    )
    prestop_sleep_s: float = setting(
        "0",
        number(0, 600, "seconds"),
        "How long preStop sleeps in the drain cut.",
        annotation=True,
    )
    shutdown_retry_ms: int = setting(
        "5000",
        integer(1, _HOUR_MS, "milliseconds"),
        "The `retry:` of a goodbye in the drain fixed.",
        annotation=True,
    )

    @classmethod
    def usual_reserve_s(cls, grace_s: float) -> float:
        """The reserve of a pod that names none: at most half of its grace period."""
        return min(cls().reserve_s, grace_s / 2)

    @property
    def window_s(self) -> float:
        """How long after preStop the hook ends at the latest."""
        return max(0.0, self.grace_s - self.reserve_s)

    def problems(self) -> Iterator[Problem]:
        """Times that do not fit into the grace period."""
        less = f"must be less than {{}}, which is {self.grace_s:g}"
        if self.reserve_s >= self.grace_s:
            yield Problem("reserve_s", less, ("grace_s",))
        if self.mode == "cut" and self.prestop_sleep_s >= self.grace_s:
            yield Problem("prestop_sleep_s", less, ("grace_s",))


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How streams are served."""

    retry: bool = setting(
        "on", switch(), "Whether streams are given a `retry:` at all.", annotation=True
    )
    retry_base_ms: int = setting(
        "1000",
        integer(1, _HOUR_MS, "milliseconds"),
        "The shortest `retry:` a stream is given.",
        annotation=True,
    )
    crash_spread_max_ms: int = setting(
        "10000",
        integer(0, _HOUR_MS, "milliseconds"),
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
        number(1, _DAY_S, "seconds"),
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
        "Data of one event. NATS takes 1 MiB by default, clients stop at a longer line.",
        annotation=True,
    )
    max_header_bytes: int = setting(
        str(16 * 1024),
        integer(256, _MIB, "bytes"),
        "A request's line and headers together; 16 KiB is what proxies in front allow, too.",
    )


@dataclass(frozen=True, slots=True)
class SidecarSettings:
    """Everything one sidecar is given at start."""

    listening: Listening = group(Listening)
    identity: Identity = group(Identity)
    backplane: BackplaneSettings = group(BackplaneSettings)
    operator: OperatorSettings = group(OperatorSettings)
    log: LogSettings = group(LogSettings)
    drain: DrainSettings = group(DrainSettings)
    streams: StreamSettings = group(StreamSettings)
    limits: Limits = group(Limits)

    def problems(self) -> Iterator[Problem]:
        """A ring that cannot hold what it is given."""
        streams = self.streams
        if streams.ring_bytes < self.limits.max_event_bytes:
            least = f"must be at least {{}}, which is {self.limits.max_event_bytes}"
            yield Problem("ring_bytes", least, ("max_event_bytes",))
        if self.backplane.url != "memory" and streams.ring_events < READ_BATCH_EVENTS:
            least = f"must be at least {READ_BATCH_EVENTS}, which are read from the backplane"
            yield Problem("ring_events", f"{least} at once")


_VARIABLES: Final = {row.name: row.variable for row in rows(SidecarSettings)}


def env(name: str) -> str:
    """The environment variable of the sidecar's setting `name`; raises `KeyError` for none."""
    return _VARIABLES[name]
