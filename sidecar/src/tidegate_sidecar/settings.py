"""The settings as the program uses them: frozen groups, read once from an environment mapping.

Nobody else looks at the environment. A bad value is a `SettingsError` that names the variable and
what is allowed; a variable of ours that nobody knows is a warning that names the nearest one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate.contract import env
from tidegate.contract.errors import SettingsError
from tidegate.drain.settings import DrainSettings
from tidegate_sidecar.settings_table import TABLE

# Kubernetes sets these for every Service of the namespace, also for one that is named tidegate.
_SERVICE_LINK = re.compile(r"TIDEGATE(_\w+)?_(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP)\w*)?)")


@dataclass(frozen=True, slots=True)
class Listening:
    """Addresses and ports; a port 0 is any free one. Publish listens on loopback only."""

    host: str
    public_port: int
    admin_port: int
    publish_port: int
    publish_host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this pod is. Empty `token`: none is wanted of hooks and none is sent with reports."""

    pod_name: str
    pod_uid: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """Where and how to report. Without a `token_file` the pod's own token is shown."""

    url: str
    token_file: str | None
    ca_file: str | None


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """How streams are served. `retry` false: no `retry:` at all (a stock server).

    `cors_origins`: who may read them from another origin; empty: nobody.
    """

    retry: bool
    retry_base_ms: int
    spread_max_ms: int
    accept_rate_per_s: float
    heartbeat_s: float
    cursor_every_s: float
    write_timeout_s: float
    handshake_timeout_s: float
    cors_origins: tuple[str, ...]
    replay: bool
    ring_events: int
    ring_bytes: int
    replay_max_events: int
    replay_max_bytes: int
    replay_bytes_per_s: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What is refused beyond: streams by a bounce, a client's own mistakes by a 4xx."""

    max_streams: int
    max_streams_per_client: int
    max_topics_per_stream: int
    max_event_bytes: int
    max_header_bytes: int


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything one sidecar is told at start. `warnings` are for the log."""

    listening: Listening
    identity: Identity
    streams: StreamSettings
    limits: Limits
    drain: DrainSettings
    backplane: str
    backplane_stream: str
    operator: OperatorSettings | None
    log_level: str
    warnings: tuple[str, ...] = ()


def read_settings(environ: Mapping[str, str], host_name: str) -> Settings:
    """Read every setting of the table; raises `SettingsError` for the first that is not usable.

    `host_name` is the pod's name where none is set (in Kubernetes they are the same).
    """
    values = {s.name: _value(s.name, environ.get(s.name, s.default)) for s in TABLE}
    identity = _identity(values, host_name)
    drain = _drain(values)
    return Settings(
        listening=_listening(values),
        identity=identity,
        streams=_streams(values),
        limits=_limits(values),
        drain=drain,
        backplane=values[env.BACKPLANE],
        backplane_stream=values[env.BACKPLANE_STREAM],
        operator=_operator(values),
        log_level=values[env.LOG_LEVEL],
        warnings=_unknown(environ),
    )


def _value(name: str, text: str) -> Any:
    setting = next(s for s in TABLE if s.name == name)
    try:
        return setting.kind.parse(text.strip())
    except ValueError:
        # A token is a secret, and so is a password in an address.
        secret = name == env.POD_TOKEN or "@" in text
        shown = "" if secret else f", not {text!r}"
        raise SettingsError(name, f"must be {setting.kind.allowed}{shown}") from None


def _listening(values: dict[str, Any]) -> Listening:
    ports = [values[name] for name in (env.PUBLIC_PORT, env.ADMIN_PORT, env.PUBLISH_PORT)]
    fixed = [port for port in ports if port]
    if len(set(fixed)) != len(fixed):
        raise SettingsError(env.PUBLIC_PORT, "the three ports must differ")
    return Listening(values[env.HOST], *ports)


def _identity(values: dict[str, Any], host_name: str) -> Identity:
    name = values[env.POD_NAME] or host_name
    return Identity(name, values[env.POD_UID] or name, values[env.POD_TOKEN])


def _operator(values: dict[str, Any]) -> OperatorSettings | None:
    url = values[env.OPERATOR_URL]
    if url is None:
        return None
    return OperatorSettings(url, values[env.OPERATOR_TOKEN_FILE], values[env.OPERATOR_CA_FILE])


def _streams(values: dict[str, Any]) -> StreamSettings:
    return StreamSettings(
        retry=values[env.RETRY],
        retry_base_ms=values[env.RETRY_BASE_MS],
        spread_max_ms=values[env.CRASH_SPREAD_MAX_MS],
        accept_rate_per_s=values[env.ACCEPT_RATE_PER_S],
        heartbeat_s=values[env.HEARTBEAT_S],
        cursor_every_s=values[env.CURSOR_EVERY_S],
        write_timeout_s=values[env.WRITE_TIMEOUT_S],
        handshake_timeout_s=values[env.HANDSHAKE_TIMEOUT_S],
        cors_origins=values[env.CORS_ORIGINS] or (),
        replay=values[env.REPLAY],
        ring_events=values[env.RING_EVENTS],
        ring_bytes=values[env.RING_BYTES],
        replay_max_events=values[env.REPLAY_MAX_EVENTS],
        replay_max_bytes=values[env.REPLAY_MAX_BYTES],
        replay_bytes_per_s=values[env.REPLAY_BYTES_PER_S],
    )


def _limits(values: dict[str, Any]) -> Limits:
    return Limits(
        max_streams=values[env.MAX_STREAMS],
        max_streams_per_client=values[env.MAX_STREAMS_PER_CLIENT],
        max_topics_per_stream=values[env.MAX_TOPICS_PER_STREAM],
        max_event_bytes=values[env.MAX_EVENT_BYTES],
        max_header_bytes=values[env.MAX_HEADER_BYTES],
    )


def _drain(values: dict[str, Any]) -> DrainSettings:
    if values[env.RESERVE_S] >= values[env.GRACE_S]:
        raise SettingsError(env.RESERVE_S, f"must be less than {env.GRACE_S}")
    return DrainSettings(
        mode=values[env.DRAIN],
        grace_s=values[env.GRACE_S],
        reserve_s=values[env.RESERVE_S],
        linger_s=values[env.LINGER_S],
        local_window_s=values[env.LOCAL_WINDOW_S],
        operator=values[env.OPERATOR_URL] is not None,
        retry_ms=values[env.RETRY_BASE_MS],
        accept_rate_per_s=values[env.ACCEPT_RATE_PER_S],
        spread_max_s=values[env.CRASH_SPREAD_MAX_MS] / 1000,
        shutdown_retry_ms=values[env.SHUTDOWN_RETRY_MS],
        prestop_sleep_s=values[env.PRESTOP_SLEEP_S],
    )


def _unknown(environ: Mapping[str, str]) -> tuple[str, ...]:
    known = [setting.name for setting in TABLE]
    warnings = []
    for name in sorted(environ):
        if not name.startswith(env.PREFIX) or name in known or _SERVICE_LINK.fullmatch(name):
            continue
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        warnings.append(f"{name} is not a setting{hint}")
    return tuple(warnings)
