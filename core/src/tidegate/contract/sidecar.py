"""The sidecar's settings, each declared once: the field that is read, and all that is known of it.

The environment, ``--help``, docs/settings.md, the annotations of a pod, the variables that the
injector sets and the chart's table and schema are made from these declarations. The groups are
handed to the parts that use them as they are; nothing else holds a default. Those of streams and
of the drain have modules of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tidegate.contract import kube, names
from tidegate.contract.auth_settings import AuthSettings
from tidegate.contract.drain_settings import DrainSettings
from tidegate.contract.kinds import (
    integer,
    or_empty,
    or_word,
    pattern,
    secret,
    several,
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
from tidegate.contract.stream_settings import Limits, StreamSettings

READ_BATCH_EVENTS: Final = 256
"""Events that are read from a shared log at once, so that one batch does not hold up the loop.

A ring that holds fewer loses some before they are delivered."""

BACKPLANE_SCHEMES: Final = ("nats", "tls")
"""The URL schemes of a log between pods. They are checked where they are declared: the injector
refuses a pod whose sidecar would refuse its start."""

_PORT = integer(0, 65535, "(0: any free port)")
_PORT_OF_A_POD = integer(1024, 65535)
_PATH = pattern(r"/[^\0]{1,4095}", "an absolute path")


@dataclass(frozen=True, slots=True)
class CommonListening:
    """Addresses and ports of hub and proxy."""

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

    def problems(self) -> Iterator[Problem]:
        """Two of the ports are one."""
        return duplicates(public_port=self.public_port, admin_port=self.admin_port)


@dataclass(frozen=True, slots=True)
class Listening(CommonListening):
    """Addresses and ports of the hub. Publish listens on loopback only."""

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
        secret(or_word("memory", several(url(*BACKPLANE_SCHEMES)))),
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
        "File of the projected token sent with reports; read again when it is renewed.",
        name="operator_token_file",
    )
    ca_file: str | None = setting(
        "",
        or_empty(_PATH, "the system's CAs"),
        "File of the CA that signs the operator's certificate.",
        name="operator_ca_file",
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
    auth: AuthSettings = group(AuthSettings)

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
