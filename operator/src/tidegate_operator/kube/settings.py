"""The operator's settings in a cluster. The default policy's fields are the planner's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tidegate.contract import names
from tidegate.contract.kinds import choice, integer, number, pattern
from tidegate.contract.kinds import names as name_list
from tidegate.contract.settings import LogSettings, Problem, duplicates, group, setting
from tidegate.rollout.snapshot import Policy
from tidegate_operator.report_limits import MAX_REPORTING_PODS

_DNS_NAME = r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"
_PORT = integer(0, 65535, "(0: any free port)")
_OBJECT_NAME = pattern(_DNS_NAME, "the name of an object")
_OPTIONAL_NAME = pattern(f"({_DNS_NAME})?", "the name of an object, or empty (none)")
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Listening:
    """Addresses and ports."""

    host: str = setting(
        "0.0.0.0",  # noqa: S104 - the pod's address is the point
        pattern(r"[0-9A-Za-z.:-]+", "an address to listen on"),
        "Where both ports listen.",
    )
    report_port: int = setting(str(names.REPORT_PORT), _PORT, "Port of the report API (TLS).")
    max_reporting_pods: int = setting(
        str(MAX_REPORTING_PODS),
        integer(64, 1_000_000, "pods"),
        "Sidecars at the report port; about 50 kB of memory and one descriptor each.",
    )
    health_port: int = setting(
        str(names.HEALTH_PORT), _PORT, "Port of /livez, /readyz, /syncedz and /metrics."
    )

    def problems(self) -> Iterator[Problem]:
        """Both ports are one."""
        return duplicates(report_port=self.report_port, health_port=self.health_port)


@dataclass(frozen=True, slots=True)
class Place:
    """This pod, and the part of the cluster that is served."""

    pod_name: str = setting("", _OPTIONAL_NAME, "This pod's name; the leader gets a label.")
    namespace: str = setting(
        "", _OPTIONAL_NAME, "Namespace of Lease, Secrets and this pod.", name="pod_namespace"
    )
    watched: tuple[str, ...] = setting(
        "",
        name_list(_DNS_NAME, "names of namespaces"),
        "The only namespaces served; empty: all of them.",
        name="watch_namespaces",
    )


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """The leader's Lease. Kubernetes' own components keep the same ratios (15 s, 10 s, 2 s)."""

    name: str = setting(
        "tidegate-operator", _OBJECT_NAME, "The Lease that the leader holds.", name="lease_name"
    )
    duration_s: int = setting(
        "10",
        integer(3, 600, "seconds"),
        "A leader that does not renew for this long is replaced; it gives up at two thirds of it.",
        name="lease_duration_s",
    )

    @property
    def renew_deadline_s(self) -> float:
        """A leader that cannot renew for this long steps down, well before it is replaced."""
        return self.duration_s * 2 / 3

    @property
    def call_timeout_s(self) -> float:
        """One renewal is two calls; with this the last one ends before the Lease runs out."""
        return self.duration_s / 6

    @property
    def retry_s(self) -> float:
        """How often the Lease is read."""
        return max(1.0, min(2.0, self.renew_deadline_s / 4))


@dataclass(frozen=True, slots=True)
class CertificateSettings:
    """Where the report API's certificate comes from."""

    mode: str = setting(
        "auto",
        choice("auto", "files"),
        "auto: made and rotated by the operator; files: read from TIDEGATE_CERTIFICATE_DIR.",
        name="certificates",
    )
    directory: str = setting(
        "/var/run/secrets/tidegate-tls",
        pattern(r"/\S+", "an absolute path"),
        "Directory with tls.crt and tls.key (mode files).",
        name="certificate_dir",
    )
    secret: str = setting(
        "tidegate-tls", _OBJECT_NAME, "Secret of the certificate.", name="certificate_secret"
    )
    ca_secret: str = setting("tidegate-ca", _OBJECT_NAME, "Secret of the CA, key included.")
    dns_names: tuple[str, ...] = setting(
        "",
        name_list(_DNS_NAME, "DNS names"),
        "DNS names in the certificate: the Services of operator and injector (mode auto).",
        name="certificate_names",
    )
    webhook_configuration: str = setting(
        "", _OPTIONAL_NAME, "MutatingWebhookConfiguration whose caBundle is updated (mode auto)."
    )

    def problems(self) -> Iterator[Problem]:
        """A certificate for no name."""
        if self.mode == "auto" and not self.dns_names:
            text = "is needed to make a certificate, or {} must be files"
            yield Problem("certificate_names", text, ("certificates",))


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """How the watches are supervised."""

    stale_after_s: float = setting(
        "120", number(10, _DAY_S, "seconds"), "Liveness fails when a watch is silent for this long."
    )


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """Everything one operator is given at start."""

    listening: Listening = group(Listening)
    place: Place = group(Place)
    lease: LeaseSettings = group(LeaseSettings)
    certificates: CertificateSettings = group(CertificateSettings)
    watches: WatchSettings = group(WatchSettings)
    log: LogSettings = group(LogSettings)
    policy: Policy = group(Policy)
