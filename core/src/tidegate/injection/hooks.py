"""The preStop hooks that hold the application's containers until its streams have drained.

In proxy mode streams end with the application, so it must outlive the drain. A container without a
hook gets one that asks the sidecar; one that only sleeps gets the same and sleeps as long at least.
Any other hook does something that is not known here, and is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from tidegate.contract import names
from tidegate.injection.pods import PodObject, spec_list

_SLEEP: Final = re.compile(r"(?:exec )?(?:/\w+)*/?sleep (\d{1,4})s?")
_SHELLS: Final = ("sh", "bash", "/bin/sh", "/bin/bash")


def drain_hook(path: str, admin_port: int, token: str) -> dict[str, Any]:
    """A hook on the sidecar's admin port.

    No `host`: Pod Security forbids it, and meshes rewrite port and path but not the host.
    """
    header = {"name": names.HEADER_POD_TOKEN, "value": token}
    where = {"path": path, "port": admin_port, "scheme": "HTTP", "httpHeaders": [header]}
    return {"httpGet": where}


def application_hooks(
    pod: PodObject, admin_port: int, token: str
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Index and new preStop hook of each container that gets one."""
    for index, container in enumerate(spec_list(pod, "containers")):
        slept_s = _slept_s(container)
        if slept_s is not None:
            least = f"?{names.QUERY_LEAST_S}={slept_s}" if slept_s else ""
            yield index, drain_hook(names.PATH_DRAIN_APP + least, admin_port, token)


def kept_hooks(pod: PodObject) -> list[str]:
    """The names of containers with hooks that are kept as they are."""
    containers = spec_list(pod, "containers")
    return [str(c.get("name")) for c in containers if _slept_s(c) is None]


def _slept_s(container: dict[str, Any]) -> int | None:
    """How long the container's hook sleeps: 0 without a hook, ``None`` where it does more."""
    hook = (container.get("lifecycle") or {}).get("preStop")
    if not hook:
        return 0
    if hook.get("sleep"):
        return int(hook["sleep"].get("seconds") or 0)
    command = [str(word) for word in (hook.get("exec") or {}).get("command") or []]
    if len(command) == 3 and command[0] in _SHELLS and command[1] == "-c":
        command = command[2:]
    slept = _SLEEP.fullmatch(" ".join(command).strip())
    return None if slept is None else int(slept[1])
