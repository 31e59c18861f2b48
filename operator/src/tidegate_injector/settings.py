"""The injector's settings: one table of environment variables, read once at start.

The table parses the environment, prints the help and is compared with the chart by a test.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate.contract import kube
from tidegate.contract.errors import SettingsError
from tidegate.contract.kinds import Kind, choice, integer, number, pattern, url
from tidegate.injection.settings import InjectionSettings

SIDECAR_IMAGE: Final = "TIDEGATE_SIDECAR_IMAGE"
SIDECAR_DEFAULTS: Final = "TIDEGATE_SIDECAR_DEFAULTS"
_DNS_NAMES: Final = r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?(,\s*|$))*"


def _or_empty(kind: Kind, meaning: str) -> Kind:
    return Kind(
        f"{kind.allowed}, or empty ({meaning})", lambda text: kind.parse(text) if text else None
    )


def _object_of_texts(text: str) -> dict[str, str]:
    value = json.loads(text)
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        raise ValueError(text)
    return value


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable: its `default` as text, its `kind`, and `help` in one sentence."""

    name: str
    default: str
    kind: Kind
    help: str


TABLE: Final[tuple[Setting, ...]] = (
    Setting(
        "TIDEGATE_HOST",
        "0.0.0.0",  # noqa: S104 - the pod's address is the point
        pattern(r"[0-9A-Za-z.:-]+", "an address"),
        "Where both ports listen.",
    ),
    Setting(
        "TIDEGATE_WEBHOOK_PORT",
        str(kube.WEBHOOK_PORT),
        integer(0, 65535),
        "Port of the webhook (TLS); 0 is any free one.",
    ),
    Setting(
        "TIDEGATE_HEALTH_PORT",
        "8081",
        integer(0, 65535),
        "Port of /livez, /readyz and /metrics; 0 is any free one.",
    ),
    Setting(
        "TIDEGATE_CERTIFICATE_DIR",
        "/var/run/secrets/tidegate-tls",
        pattern(r"/\S+", "an absolute path"),
        "Directory with tls.crt, tls.key and ca.crt; read again when they change.",
    ),
    Setting(SIDECAR_IMAGE, "", pattern(r"\S+", "an image"), "Image of the sidecar; must be given."),
    Setting(
        "TIDEGATE_SIDECAR_PULL_POLICY",
        "IfNotPresent",
        choice("Always", "IfNotPresent", "Never"),
        "The sidecar's imagePullPolicy.",
    ),
    Setting(
        "TIDEGATE_SIDECAR_PULL_SECRETS",
        "",
        pattern(_DNS_NAMES, "names of Secrets separated by commas, or empty"),
        "Pull secrets added to injected pods; each namespace must have them.",
    ),
    Setting(
        "TIDEGATE_SIDECAR_USER",
        "65532",
        _or_empty(integer(1, 2**31 - 1), "left to the platform"),
        "The sidecar's user and group.",
    ),
    Setting(
        SIDECAR_DEFAULTS,
        "{}",
        Kind("a JSON object of texts", _object_of_texts),
        "Values of tidegate.dev/ annotations for pods that say nothing, by key without prefix.",
    ),
    Setting(
        "TIDEGATE_OPERATOR_URL",
        "",
        _or_empty(url("https", "http"), "sidecars report to nobody"),
        "Where injected sidecars report.",
    ),
    Setting(
        "TIDEGATE_STOP_DELAY_S",
        "5",
        number(0, 60),
        "How long SIGTERM waits, still serving, until the API server has forgotten this pod.",
    ),
    Setting(
        "TIDEGATE_LOG_LEVEL",
        "info",
        choice("debug", "info", "warning", "error"),
        "The least severe log lines written (JSON, to stderr).",
    ),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything one injector is told at start; `injection` still lacks the CA, which rotates."""

    host: str
    webhook_port: int
    health_port: int
    certificate_dir: str
    stop_delay_s: float
    log_level: str
    injection: InjectionSettings
    warnings: tuple[str, ...] = ()


def read_settings(environ: Mapping[str, str], version: str) -> Settings:
    """Read the whole table; raises `SettingsError` for the first value that is not usable.

    `version` is Tidegate's own, which goes into the status of injected pods.
    """
    value = {s.name.removeprefix("TIDEGATE_"): _read(s, environ) for s in TABLE}
    return Settings(
        host=value["HOST"],
        webhook_port=value["WEBHOOK_PORT"],
        health_port=value["HEALTH_PORT"],
        certificate_dir=value["CERTIFICATE_DIR"],
        stop_delay_s=value["STOP_DELAY_S"],
        log_level=value["LOG_LEVEL"],
        injection=_injection(value, version),
    )


def settings_help() -> str:
    """Every variable with its default, meaning and what is allowed."""
    lines = ["environment variables:"]
    for setting in TABLE:
        lines.append(f"  {setting.name} (default: {setting.default or 'empty'})")
        lines.append(f"      {setting.help}")
        lines.append(f"      {setting.kind.allowed}")
    return "\n".join(lines)


def _injection(value: Mapping[str, Any], version: str) -> InjectionSettings:
    secrets = tuple(part.strip() for part in value["SIDECAR_PULL_SECRETS"].split(","))
    try:
        return InjectionSettings(
            image=value["SIDECAR_IMAGE"],
            version=version,
            image_pull_policy=value["SIDECAR_PULL_POLICY"],
            image_pull_secrets=tuple(secret for secret in secrets if secret),
            operator_url=value["OPERATOR_URL"],
            run_as_user=value["SIDECAR_USER"],
            defaults=value["SIDECAR_DEFAULTS"],
        )
    except SettingsError as error:
        raise SettingsError(SIDECAR_DEFAULTS, str(error).removeprefix("defaults.")) from None


def _read(setting: Setting, environ: Mapping[str, str]) -> Any:
    text = environ.get(setting.name, setting.default).strip()
    try:
        return setting.kind.parse(text)
    except ValueError:
        raise SettingsError(setting.name, f"must be {setting.kind.allowed}, not {text!r}") from None
