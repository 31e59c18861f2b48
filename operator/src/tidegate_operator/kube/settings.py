"""The operator's settings in a cluster: one table of environment variables, read once at start.

The same table parses the environment, prints the help and is compared with the chart. What a
policy leaves open comes from here, too: the default policy is made of the last group of variables.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate.contract import names
from tidegate.contract.errors import SettingsError
from tidegate.contract.kinds import Kind, choice, integer, number, pattern
from tidegate.rollout.snapshot import Policy

PREFIX: Final = "TIDEGATE_"
_SERVICE_LINK = re.compile(r"TIDEGATE_\w+_(SERVICE|PORT)(_.*)?")
_DNS_NAME = r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"
_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable: its `default` as text, its `kind`, and `help` in one sentence."""

    name: str
    default: str
    kind: Kind
    help: str


def _switch() -> Kind:
    return Kind("on or off", lambda text: bool(("off", "on").index(text)))


def _name_list() -> Kind:
    def parse(text: str) -> tuple[str, ...]:
        found = tuple(part.strip() for part in text.split(",") if part.strip())
        if any(re.fullmatch(_DNS_NAME, part) is None for part in found):
            raise ValueError(text)
        return found

    return Kind("DNS names separated by commas, or empty", parse)


def _setting(name: str, default: str, kind: Kind, text: str) -> Setting:
    return Setting(PREFIX + name, default, kind, text)


_PORT = integer(0, 65535)
_OBJECT_NAME = pattern(_DNS_NAME, "the name of an object")
_OPTIONAL_NAME = pattern(f"({_DNS_NAME})?", "the name of an object, or empty (none)")
_DEFAULT = Policy()

TABLE: Final[tuple[Setting, ...]] = (
    _setting(
        "HOST",
        "0.0.0.0",  # noqa: S104 - the pod's address is the point
        pattern(r"[0-9A-Za-z.:-]+", "an address"),
        "Where both ports listen.",
    ),
    _setting("REPORT_PORT", str(names.REPORT_PORT), _PORT, "Port of the report API (TLS)."),
    _setting("HEALTH_PORT", "8081", _PORT, "Port of /livez, /readyz, /syncedz and /metrics."),
    _setting("POD_NAME", "", _OPTIONAL_NAME, "This pod; it gets the leader's label."),
    _setting("POD_NAMESPACE", "", _OPTIONAL_NAME, "Namespace of Lease, Secrets and this pod."),
    _setting(
        "WATCH_NAMESPACES", "", _name_list(), "The only namespaces served; empty: all of them."
    ),
    _setting("LEASE_NAME", "tidegate-operator", _OBJECT_NAME, "The Lease that the leader holds."),
    _setting(
        "LEASE_DURATION_S",
        "10",
        integer(3, 600),
        "A leader silent for so long is replaced; renewing gives up at two thirds of it.",
    ),
    _setting(
        "STALE_AFTER_S",
        "120",
        number(10, _DAY_S),
        "A watch without proof of life for so long fails liveness.",
    ),
    _setting(
        "CERTIFICATES",
        "auto",
        choice("auto", "files"),
        "auto: made and rotated here, kept in Secrets; files: given in TIDEGATE_CERTIFICATE_DIR.",
    ),
    _setting(
        "CERTIFICATE_DIR",
        "/var/run/secrets/tidegate-tls",
        pattern(r"/\S+", "an absolute path"),
        "Directory with tls.crt and tls.key (mode files).",
    ),
    _setting("CERTIFICATE_SECRET", "tidegate-tls", _OBJECT_NAME, "Secret of the certificate."),
    _setting("CA_SECRET", "tidegate-ca", _OBJECT_NAME, "Secret of the CA, key included."),
    _setting(
        "CERTIFICATE_NAMES",
        "",
        _name_list(),
        "DNS names in the certificate: the Services of operator and injector (mode auto).",
    ),
    _setting(
        "WEBHOOK_CONFIGURATION",
        "",
        _OPTIONAL_NAME,
        "MutatingWebhookConfiguration whose caBundle is kept (mode auto).",
    ),
    _setting(
        "LOG_LEVEL",
        "info",
        choice("debug", "info", "warning", "error"),
        "The least severe log lines written (JSON, to stderr).",
    ),
    _setting(
        "BUDGET_PER_S",
        f"{_DEFAULT.budget_per_s:g}",
        number(0.1, 1_000_000),
        "Streams per second that may be moved, where no DrainPolicy says otherwise.",
    ),
    _setting("STEERING", "on", _switch(), "Whether admit labels are written by default."),
    _setting("REBALANCE", "on", _switch(), "Whether fleets at rest are evened out by default."),
    _setting("RETRY_MS", str(_DEFAULT.retry_ms), integer(1, 60_000), "The `retry:` of a goodbye."),
    _setting(
        "FLIP_LAG_S",
        f"{_DEFAULT.flip_lag_s:g}",
        number(0, 60),
        "The longest a label change takes to reach every router.",
    ),
    _setting(
        "FLIP_INTERVAL_S",
        f"{_DEFAULT.flip_interval_s:g}",
        number(0.1, 60),
        "The least time between two batches of label changes.",
    ),
)


@dataclass(frozen=True, slots=True)
class CertificateSettings:
    """Where the report API's certificate comes from; `mode` is auto or files."""

    mode: str
    directory: str
    secret: str
    ca_secret: str
    dns_names: tuple[str, ...]
    webhook_configuration: str


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """The leader's Lease. Kubernetes' own components keep the same ratios (15 s, 10 s, 2 s)."""

    name: str
    duration_s: int

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
        """How often the Lease is looked at."""
        return max(1.0, min(2.0, self.renew_deadline_s / 4))


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything one operator is told at start. Empty `namespaces` means all of them."""

    host: str
    report_port: int
    health_port: int
    pod_name: str
    namespace: str
    namespaces: tuple[str, ...]
    lease: LeaseSettings
    stale_after_s: float
    certificates: CertificateSettings
    log_level: str
    policy: Policy
    warnings: tuple[str, ...] = ()


def read_settings(environ: Mapping[str, str], own_namespace: str) -> Settings:
    """Read the whole table; raises `SettingsError` for the first value that is not usable.

    `own_namespace` is used where the environment names none (the ServiceAccount's namespace).
    """
    value = {s.name.removeprefix(PREFIX): _read(s, environ) for s in TABLE}
    if value["CERTIFICATES"] == "auto" and not value["CERTIFICATE_NAMES"]:
        raise SettingsError(PREFIX + "CERTIFICATE_NAMES", "is needed to make a certificate")
    return Settings(
        host=value["HOST"],
        report_port=value["REPORT_PORT"],
        health_port=value["HEALTH_PORT"],
        pod_name=value["POD_NAME"],
        namespace=value["POD_NAMESPACE"] or own_namespace,
        namespaces=value["WATCH_NAMESPACES"],
        lease=LeaseSettings(value["LEASE_NAME"], value["LEASE_DURATION_S"]),
        stale_after_s=value["STALE_AFTER_S"],
        certificates=CertificateSettings(
            value["CERTIFICATES"],
            value["CERTIFICATE_DIR"],
            value["CERTIFICATE_SECRET"],
            value["CA_SECRET"],
            value["CERTIFICATE_NAMES"],
            value["WEBHOOK_CONFIGURATION"],
        ),
        log_level=value["LOG_LEVEL"],
        policy=_policy(value),
        warnings=_unknown(environ),
    )


def settings_help() -> str:
    """Every variable with its default, meaning and what is allowed."""
    lines = ["environment variables:"]
    for setting in TABLE:
        lines.append(f"  {setting.name} (default: {setting.default or 'empty'})")
        lines.append(f"      {setting.help}")
        lines.append(f"      {setting.kind.allowed}")
    return "\n".join(lines)


def _policy(value: Mapping[str, Any]) -> Policy:
    return Policy(
        budget_per_s=value["BUDGET_PER_S"],
        steering=value["STEERING"],
        rebalance=value["REBALANCE"],
        retry_ms=value["RETRY_MS"],
        flip_lag_s=value["FLIP_LAG_S"],
        flip_interval_s=value["FLIP_INTERVAL_S"],
    )


def _read(setting: Setting, environ: Mapping[str, str]) -> Any:
    text = environ.get(setting.name, setting.default).strip()
    try:
        return setting.kind.parse(text)
    except ValueError:
        raise SettingsError(setting.name, f"must be {setting.kind.allowed}, not {text!r}") from None


def _unknown(environ: Mapping[str, str]) -> tuple[str, ...]:
    known = [setting.name for setting in TABLE]
    strangers = [
        name
        for name in sorted(environ)
        if name.startswith(PREFIX) and name not in known and not _SERVICE_LINK.fullmatch(name)
    ]
    nearest = {n: difflib.get_close_matches(n, known, n=1, cutoff=0.0) for n in strangers}
    return tuple(f"{n} is not a setting; did you mean {nearest[n][0]}?" for n in strangers)
