"""The injector's settings: its own, and what it gives to every pod."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tidegate.contract import kube, names
from tidegate.contract.kinds import integer, number, pattern
from tidegate.contract.settings import LogSettings, Problem, duplicates, group, setting
from tidegate.injection.settings import InjectionSettings

_PORT = integer(0, 65535, "(0: any free port)")


@dataclass(frozen=True, slots=True)
class Serving:
    """Addresses, ports, the certificate and the end."""

    host: str = setting(
        "0.0.0.0",  # noqa: S104 - the pod's address is the point
        pattern(r"[0-9A-Za-z.:-]+", "an address to listen on"),
        "Where both ports listen.",
    )
    webhook_port: int = setting(str(kube.WEBHOOK_PORT), _PORT, "Port of the webhook (TLS).")
    health_port: int = setting(
        str(names.HEALTH_PORT), _PORT, "Port of /livez, /readyz and /metrics."
    )
    certificate_dir: str = setting(
        "/var/run/secrets/tidegate-tls",
        pattern(r"/\S+", "an absolute path"),
        "Directory with tls.crt, tls.key and ca.crt; read again when they change.",
    )
    stop_delay_s: float = setting(
        "5",
        number(0, 60, "seconds"),
        "How long to serve on after SIGTERM, until the API server no longer calls this pod.",
    )

    def problems(self) -> Iterator[Problem]:
        """Both ports are one."""
        return duplicates(webhook_port=self.webhook_port, health_port=self.health_port)


@dataclass(frozen=True, slots=True)
class InjectorSettings:
    """Everything one injector is given at start; `injection` still lacks the CA, which rotates."""

    serving: Serving = group(Serving)
    injection: InjectionSettings = group(InjectionSettings)
    log: LogSettings = group(LogSettings)
