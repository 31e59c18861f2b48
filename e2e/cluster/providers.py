"""The providers by name, and which one a machine has."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from e2e.cluster.kind import KindCluster
from e2e.cluster.native.cluster import NativeCluster
from e2e.cluster.provider import Cluster, ClusterError

VARIABLE = "TIDEGATE_E2E_PROVIDER"
NAMES = ("kind", "native")


def default_name(environment: Mapping[str, str]) -> str:
    """``$TIDEGATE_E2E_PROVIDER``, else kind where it is installed, else native."""
    return environment.get(VARIABLE) or ("kind" if shutil.which("kind") else "native")


def provider(name: str, environment: Mapping[str, str]) -> Cluster:
    """The provider of that name; raises `ClusterError` for one that is none."""
    if name == "kind":
        return KindCluster(environment)
    if name == "native":
        return NativeCluster(environment)
    raise ClusterError(f"{VARIABLE}: must be one of {', '.join(NAMES)}, is {name}")
