"""What the native provider needs from the machine, and the line that installs what is missing."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from tools.cache import VARIABLE

from e2e.cluster.native.layout import PRIVATE
from tidegate.contract.errors import MissingToolError

PACKAGES: Mapping[str, str] = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "setsid": "util-linux",
}
"""Debian's package for each program."""

CNI_PACKAGE = "containernetworking-plugins"
CNI_DIRECTORIES = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))
CNI_PLUGINS = ("bridge", "host-local", "loopback", "portmap")
SYSTEM_DIRECTORIES = "/usr/local/sbin:/usr/sbin:/sbin"
"""Not on everybody's PATH, also not on every root's."""


def search_path(environment: Mapping[str, str]) -> str:
    """PATH with the administrator's folders at its end."""
    return f"{environment.get('PATH', os.defpath)}:{SYSTEM_DIRECTORIES}"


def cni_directory() -> Path | None:
    """The folder that holds every CNI plugin needed."""
    for directory in CNI_DIRECTORIES:
        if all((directory / plugin).exists() for plugin in CNI_PLUGINS):
            return directory
    return None


def require(cache: Path, environment: Mapping[str, str], user_id: int) -> None:
    """Raise `MissingToolError`, one line, unless `user_id` can run a native cluster here."""
    if sys.platform != "linux" or user_id != 0:
        raise MissingToolError("the native cluster needs Linux and root: run it with sudo -E")
    path = search_path(environment)
    missing = {package for name, package in PACKAGES.items() if not shutil.which(name, path=path)}
    if cni_directory() is None:
        missing.add(CNI_PACKAGE)
    if missing:
        names = " ".join(sorted(missing))
        raise MissingToolError(
            f"the native cluster needs {names}: apt-get install --no-install-recommends {names}"
        )
    if shutil.which("go", path=path) is None:
        raise MissingToolError(
            "the native cluster needs Go 1.26 or newer to build Kubernetes: "
            "install the toolchain and put its bin folder on PATH"
        )
    if any(cache.is_relative_to(place) for place in PRIVATE.values()):
        places = ", ".join(PRIVATE.values())
        raise MissingToolError(
            f"{cache}: nodes have {places} of their own: set {VARIABLE} to a folder elsewhere"
        )
