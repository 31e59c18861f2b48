"""Every key a person may write on a pod to shape its sidecar.

Most are settings of the sidecar and declared there; the others, on which the injector itself acts,
are declared here. The same list parses the annotations and the chart's cluster-wide defaults,
writes the denials, the chart's table and the schema of its values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tidegate.contract import kube
from tidegate.contract.kinds import choice, integer, or_empty, pattern
from tidegate.contract.proxy import ProxySettings
from tidegate.contract.settings import Annotation, Row, rows
from tidegate.contract.sidecar import SidecarSettings
from tidegate.injection.quantities import cpu, memory

_DNS_NAME = r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"

HUB: Final = "hub"
PROXY: Final = "proxy"

PROGRAMS: Final[Mapping[str, type[Any]]] = {HUB: SidecarSettings, PROXY: ProxySettings}
"""The settings of the program that runs in each mode."""

_OWN: Final = (
    Annotation("inject", "false", choice("true", "false"), "Whether the pod gets a sidecar."),
    Annotation(
        "mode",
        HUB,
        choice(HUB, PROXY),
        "hub: the application publishes, the sidecar streams. proxy: the application streams by "
        "itself, behind the sidecar.",
    ),
    Annotation(
        "upstream-port",
        "",
        or_empty(integer(1, 65_535), "none"),
        "Port on which the application listens; needed in proxy mode.",
    ),
    Annotation(
        "backplane-secret",
        "",
        pattern(_DNS_NAME, "the name of a Secret"),
        "Secret of the pod's namespace whose key `url` is the backplane's address.",
    ),
    Annotation(
        "auth-secret",
        "",
        or_empty(pattern(_DNS_NAME, "the name of a Secret"), "none"),
        "Secret of the pod's namespace whose files are the keys that verify tokens, with auth jwt.",
    ),
    Annotation("cpu-request", "50m", cpu(), "The sidecar's CPU request, which HPAs need."),
    Annotation(
        "cpu-limit",
        "",
        or_empty(cpu(), "no limit"),
        "The sidecar's CPU limit; a throttled one delays all.",
    ),
    Annotation("memory-request", "128Mi", memory(), "The sidecar's memory request."),
    Annotation(
        "memory-limit",
        "512Mi",
        or_empty(memory(), "no limit"),
        "The sidecar's memory limit: ring and streams.",
    ),
)

PASSED_ON: Final[Mapping[str, Row]] = {
    row.annotation.key: row
    for program in (ProxySettings, SidecarSettings)
    for row in rows(program)
    if row.annotation is not None
}
"""The settings of sidecar and proxy that a pod may make, by key."""

ANNOTATIONS: Final[Mapping[str, Annotation]] = {
    annotation.key: annotation
    for annotation in (*_OWN, *(row.annotation for row in PASSED_ON.values() if row.annotation))
}
"""All keys, without prefix."""

KEYS_BY_SETTING: Final[Mapping[str, str]] = {row.name: key for key, row in PASSED_ON.items()}

WRITTEN_BY_TIDEGATE: Final = (kube.ANNOTATION_STATUS, kube.ANNOTATION_OPERATOR_CA)
"""Keys under the prefix that programs write, so that no warning names them."""


def full_key(key: str) -> str:
    """The key as written on a pod."""
    return kube.KEY_PREFIX + key
