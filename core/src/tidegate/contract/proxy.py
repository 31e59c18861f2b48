"""The settings of `tidegate proxy`, each declared once (`contract.settings`).

What proxy and sidecar have in common is declared with the sidecar's: the same variable means the
same in both programs.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from tidegate.contract.drain_settings import DrainSettings
from tidegate.contract.kinds import names, networks, number, url
from tidegate.contract.settings import DAY_S, LogSettings, group, setting
from tidegate.contract.sidecar import CommonListening, Identity, OperatorSettings
from tidegate.contract.stream_settings import CommonLimits, CommonStreamSettings


@dataclass(frozen=True, slots=True)
class ApplicationSettings:
    """The application behind the proxy, and how long each phase of an exchange may take."""

    upstream: str = setting(
        None, url("http"), "The application, such as http://127.0.0.1:8000; plain HTTP."
    )
    connect_timeout_s: float = setting(
        "5", number(0.1, 600, "seconds"), "Time for a connection to the application."
    )
    answer_timeout_s: float = setting(
        "600",
        number(1, DAY_S, "seconds"),
        "How long the application may be silent before or within an answer; endless streams may be "
        "silent for ever.",
        annotation=True,
    )
    body_timeout_s: float = setting(
        "60", number(1, 3600, "seconds"), "How long a client may be silent within a request's body."
    )
    keep_alive_s: float = setting(
        "75", number(1, 3600, "seconds"), "How long a client's connection may wait for a request."
    )
    upstream_keep_alive_s: float = setting(
        "1.5",
        number(0, 3600, "seconds"),
        "How long a connection to the application is kept for the next request. Less than the "
        "application keeps it: what was sent on a closing connection is not sent again.",
    )
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = setting(
        "",
        networks(),
        "Peers whose X-Forwarded-* and Forwarded are passed on, such as the ingress; from others "
        "they are replaced.",
        annotation=True,
    )
    finite_paths: tuple[str, ...] = setting(
        "",
        names(r"/[!-+\--~]*", "paths (with * at the end: prefixes)"),
        "Event streams of these paths are answers that must finish, also where they come by GET.",
        annotation=True,
    )


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """Everything one proxy is given at start."""

    application: ApplicationSettings = group(ApplicationSettings)
    listening: CommonListening = group(CommonListening)
    identity: Identity = group(Identity)
    operator: OperatorSettings = group(OperatorSettings)
    log: LogSettings = group(LogSettings)
    drain: DrainSettings = group(DrainSettings)
    streams: CommonStreamSettings = group(CommonStreamSettings)
    limits: CommonLimits = group(CommonLimits)
