"""Every key a person may write on a pod to shape its sidecar, one line each.

The same table parses the annotations and the chart's cluster-wide defaults, writes the denials
and the documentation, and is compared by a test with the sidecar's own settings. An empty default
means that the sidecar's own default holds, or what `help` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tidegate.contract import env, kube, names
from tidegate.contract.kinds import (
    Kind,
    choice,
    integer,
    number,
    or_word,
    origins,
    pattern,
    several,
    url,
)
from tidegate.injection.quantities import cpu, memory

_PORT = integer(1024, 65535)
_DAY_S = 86_400
_HOUR_MS = 3_600_000
_GIB = 2**30
_DNS_NAME = r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"


@dataclass(frozen=True, slots=True)
class Annotation:
    """One key under ``tidegate.dev/``.

    `env` is the sidecar's variable that takes the value as it is; ``None`` where the injector
    itself acts on it.
    """

    key: str
    default: str
    kind: Kind
    help: str
    env: str | None = None

    @property
    def full_key(self) -> str:
        """The key as written on a pod."""
        return kube.KEY_PREFIX + self.key


TABLE: Final[tuple[Annotation, ...]] = (
    Annotation("inject", "false", choice("true", "false"), "Whether the pod gets a sidecar."),
    Annotation(
        "mode", "hub", choice("hub"), "hub: the application publishes, the sidecar streams."
    ),
    Annotation(
        "port",
        str(kube.INJECTED_PUBLIC_PORT),
        _PORT,
        f"Port of the streams; Services name it {kube.CONTAINER_PORT_STREAMS}.",
        env.PUBLIC_PORT,
    ),
    Annotation(
        "admin-port",
        str(names.ADMIN_PORT),
        _PORT,
        "Port of probes, hooks and metrics.",
        env.ADMIN_PORT,
    ),
    Annotation(
        "publish-port",
        str(names.PUBLISH_PORT),
        _PORT,
        "Loopback port that the application publishes to.",
        env.PUBLISH_PORT,
    ),
    Annotation(
        "backplane",
        "",
        or_word("memory", several(url("nats", "tls"))),
        "The log between pods; empty: the cluster's. memory serves one pod only.",
    ),
    Annotation(
        "backplane-secret",
        "",
        pattern(_DNS_NAME, "the name of a Secret"),
        "Secret of the pod's namespace whose key `url` is the backplane's address.",
    ),
    Annotation(
        "backplane-stream",
        "",
        pattern(r"[0-9A-Za-z_-]{1,64}", "1 to 64 of 0-9 A-Z a-z _ -"),
        "Name of the log, one per application; empty: from namespace and workload.",
        env.BACKPLANE_STREAM,
    ),
    Annotation(
        "grace-s",
        "",
        integer(2, _DAY_S, "seconds"),
        "Sets terminationGracePeriodSeconds; empty: the pod's own stays.",
    ),
    Annotation(
        "reserve-s",
        "",
        number(0, _DAY_S, "seconds"),
        "End of the grace period left to the application: its stop time + 2 s.",
    ),
    Annotation("cpu-request", "50m", cpu(), "The sidecar's CPU request, which HPAs need."),
    Annotation("cpu-limit", "", cpu(), "The sidecar's CPU limit; a throttled one delays all."),
    Annotation("memory-request", "128Mi", memory(), "The sidecar's memory request."),
    Annotation("memory-limit", "512Mi", memory(), "The sidecar's memory limit: ring and streams."),
    Annotation(
        "host",
        "",
        pattern(r"[0-9A-Fa-f.:]+", "an address to listen on"),
        "Where the sidecar listens; :: where pods have IPv6 addresses only.",
        env.HOST,
    ),
    Annotation(
        "linger-s",
        "",
        number(0, 600, "seconds"),
        "The least preStop lasts; more behind cloud load balancers.",
        env.LINGER_S,
    ),
    Annotation(
        "local-window-s",
        "",
        number(1, _DAY_S, "seconds"),
        "Window of the pod's own drain, for nodes that leave early (spot).",
        env.LOCAL_WINDOW_S,
    ),
    Annotation(
        "drain",
        "",
        choice("even", "fixed", "cut", "off"),
        "even: slots; fixed: goodbye to all at once; cut: end all at SIGTERM; off: neither.",
        env.DRAIN,
    ),
    Annotation(
        "prestop-sleep-s",
        "",
        number(0, 600, "seconds"),
        "How long preStop sleeps in the drain cut.",
        env.PRESTOP_SLEEP_S,
    ),
    Annotation(
        "shutdown-retry-ms",
        "",
        integer(1, _HOUR_MS, "milliseconds"),
        "The `retry:` of a goodbye in the drain fixed.",
        env.SHUTDOWN_RETRY_MS,
    ),
    Annotation(
        "retry", "", choice("on", "off"), "Whether streams are given a `retry:` at all.", env.RETRY
    ),
    Annotation(
        "retry-base-ms",
        "",
        integer(1, _HOUR_MS, "milliseconds"),
        "The shortest `retry:` a stream is given.",
        env.RETRY_BASE_MS,
    ),
    Annotation(
        "crash-spread-max-ms",
        "",
        integer(0, _HOUR_MS, "milliseconds"),
        "The most by which `retry:` is spread over the streams.",
        env.CRASH_SPREAD_MAX_MS,
    ),
    Annotation(
        "accept-rate-per-s",
        "",
        number(1, 1_000_000, "streams a second"),
        "How many returning clients the fleet takes.",
        env.ACCEPT_RATE_PER_S,
    ),
    Annotation(
        "heartbeat-s",
        "",
        number(1, 3600, "seconds"),
        "Silence after which a stream gets a comment line.",
        env.HEARTBEAT_S,
    ),
    Annotation(
        "write-timeout-s",
        "",
        number(1, 3600, "seconds"),
        "How long a client may not read before its stream is ended.",
        env.WRITE_TIMEOUT_S,
    ),
    Annotation(
        "cors-origins",
        "",
        origins(),
        "Pages that may read the streams from another origin; listed ones with credentials.",
        env.CORS_ORIGINS,
    ),
    Annotation(
        "replay", "", choice("on", "off"), "Whether a returning client is replayed.", env.REPLAY
    ),
    Annotation(
        "ring-events",
        "",
        integer(1, 10_000_000, "events"),
        "Events kept in memory for replay.",
        env.RING_EVENTS,
    ),
    Annotation(
        "ring-bytes",
        "",
        integer(4096, 64 * _GIB, "bytes"),
        "Bytes kept in memory for replay; keep memory-limit above it.",
        env.RING_BYTES,
    ),
    Annotation(
        "max-streams",
        "",
        integer(1, 10_000_000, "streams"),
        "Streams per pod; the next is sent to another pod.",
        env.MAX_STREAMS,
    ),
    Annotation(
        "max-streams-per-client",
        "",
        integer(1, 1_000_000, "streams"),
        "Streams per client id and pod.",
        env.MAX_STREAMS_PER_CLIENT,
    ),
    Annotation(
        "max-event-bytes",
        "",
        integer(1, 64 * 2**20, "bytes"),
        "Data of one event.",
        env.MAX_EVENT_BYTES,
    ),
    Annotation(
        "log-level",
        "",
        choice("debug", "info", "warning", "error"),
        "The least severe log lines written.",
        env.LOG_LEVEL,
    ),
)

WRITTEN_BY_TIDEGATE: Final = (kube.ANNOTATION_STATUS, kube.ANNOTATION_OPERATOR_CA)
"""Keys under the prefix that programs write and nobody needs to be warned about."""
