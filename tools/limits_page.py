"""docs/limits.md: the bounds of every port, out of their declarations."""

from __future__ import annotations

from typing import Final

from tidegate.contract.stream_settings import Limits, StreamSettings
from tidegate_injector.apps import HEALTH_LIMITS as INJECTOR_HEALTH
from tidegate_injector.apps import WEBHOOK_LIMITS
from tidegate_operator.kube.listeners import HEALTH_LIMITS
from tidegate_operator.report_limits import REPORT_LIMITS
from tidegate_process.limits import Limit, PortLimits, declared
from tidegate_sidecar.engine.public_limits import port_limits
from tidegate_sidecar.ports.admin import ADMIN_LIMITS
from tidegate_sidecar.process import PUBLISH_LIMITS

PORTS: Final[dict[str, PortLimits]] = {
    "public": port_limits(StreamSettings(), Limits()),
    "publish": PUBLISH_LIMITS,
    "admin": ADMIN_LIMITS,
    "report": REPORT_LIMITS,
    "health (operator)": HEALTH_LIMITS,
    "webhook": WEBHOOK_LIMITS,
    "health (injector)": INJECTOR_HEALTH,
}
"""The default bounds of each listener."""

_PAGE: Final = """\
<!-- {made}; do not edit. -->
# Limits

Every port of every program has all of these bounds. A connection or request beyond one is ended or
refused, and counted by `tidegate_port_refused_total` with the port's name and the reason in the
last column; `tidegate_port_connections` and `tidegate_port_body_bytes` show how near a port is to
its bounds. Sizes are in bytes, times in seconds. A dash: the port has no TLS, or keeps no places.

{table}
A connection that becomes a stream leaves the public port's bounds, and has those of
[settings.md](settings.md): `TIDEGATE_MAX_STREAMS`, `TIDEGATE_MAX_STREAMS_PER_CLIENT`,
`TIDEGATE_MAX_STREAM_BYTES`, `TIDEGATE_WRITE_TIMEOUT_S` and the others. Settings are also the bytes
and the time of a head at the public port (`TIDEGATE_MAX_HEADER_BYTES`, `TIDEGATE_HEADER_TIMEOUT_S`)
and the connections of the report port (`TIDEGATE_MAX_REPORTING_PODS`). No program has more
connections than its limit of file descriptors allows (`ulimit -n`).

Each line of a program's log is written at most so many times a minute; the logger's next line after
that carries the number of those left out as `suppressed`.
"""

_TLS: Final = ("report", "webhook")


def limits_page(made: str) -> str:
    """The page; `made` names the command that writes it."""
    head = ["limit", "meaning", *PORTS, "reasons"]
    lines = [head, ["---"] * len(head), *(_line(limit) for limit in declared())]
    return _PAGE.format(made=made, table="".join(f"| {' | '.join(line)} |\n" for line in lines))


def _line(limit: Limit) -> list[str]:
    reasons = ", ".join(f"`{reason}`" for reason in limit.reasons)
    cells = [_value(name, limit.name, port) for name, port in PORTS.items()]
    return [f"`{limit.name}`", limit.help, *cells, reasons]


def _value(port: str, name: str, limits: PortLimits) -> str:
    if name == "handshake_s" and port not in _TLS:
        return "–"
    value = getattr(limits, name)
    if isinstance(value, frozenset):
        return " ".join(f"`{path.decode()}`" for path in sorted(value)) or "–"
    return f"{value:,.12g}" if value else "–"
