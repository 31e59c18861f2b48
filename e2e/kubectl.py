"""kubectl and helm as the tests use them: on the cluster's kubeconfig, with JSON where it helps.

The calling thread must be inside the cluster's network (`Cluster.network`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tools import binaries

from e2e.cluster.commands import run

TIMEOUT_S = 120.0


class Kubectl:
    """One kubeconfig, and the `helm` to use (by default Helm 4 of `tools.binaries`).

    Every method raises `ClusterError` with the tool's own words.
    """

    def __init__(self, kubeconfig: Path, helm: Path | None = None) -> None:
        self.kubeconfig = kubeconfig
        self._environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        self._kubectl = binaries.find("kubectl")
        self._helm = helm or binaries.find("helm")

    def __call__(self, *words: str, stdin: str | None = None, timeout_s: float = TIMEOUT_S) -> str:
        """Run kubectl with these words; returns what it printed."""
        argv = [str(self._kubectl), *words]
        return run(argv, env=self._environment, stdin=stdin, timeout_s=timeout_s)

    def helm(self, *words: str, timeout_s: float = 300.0) -> str:
        """Run helm with these words; returns what it printed."""
        return run([str(self._helm), *words], env=self._environment, timeout_s=timeout_s)

    def get(self, *words: str) -> Any:
        """``kubectl get WORDS -o json``."""
        return json.loads(self("get", *words, "--output=json"))

    def items(self, *words: str) -> list[dict[str, Any]]:
        """The items of a list."""
        items: list[dict[str, Any]] = self.get(*words)["items"]
        return items

    def apply(self, *documents: Mapping[str, Any]) -> None:
        """Apply objects server-side."""
        items = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
        self("apply", "--server-side", "--filename=-", stdin=json.dumps(items))
