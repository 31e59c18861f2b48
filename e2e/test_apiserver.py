"""The operator's and the chart's own tests against this cluster's API server, so that they run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.cluster.provider import Cluster
from e2e.installation import Installation
from e2e.kubectl import Kubectl

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROOT = Path(__file__).parent.parent
KUBECONFIG = "TIDEGATE_TEST_KUBECONFIG"
OPERATOR = sorted((ROOT / "tests" / "operator_kube").glob("test_apiserver_*.py"))
CHART = [ROOT / "tests" / "chart" / "test_chart_on_apiserver.py"]


def test_the_operator_on_this_apiserver(
    kubectl: Kubectl, cluster: Cluster, installation: Installation
) -> None:
    """The installed operator steps aside: the tests bring their own, on the same CRD."""
    installation.scale("operator", 0)
    try:
        _pass(cluster, OPERATOR)
    finally:
        installation.scale("operator", 2)


def test_the_chart_on_this_apiserver(
    kubectl: Kubectl, cluster: Cluster, installation: Installation
) -> None:
    """Every object that the chart renders is accepted, and the operator's rights end in time."""
    _pass(cluster, CHART)


def _pass(cluster: Cluster, files: list[Path]) -> None:
    """Run them inside the cluster's network; none may be skipped."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, files)]
    environment = {**os.environ, KUBECONFIG: str(cluster.kubeconfig)}
    done = subprocess.run(
        command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert files
    assert re.search(r"\d+ passed", done.stdout)
    assert "skipped" not in done.stdout
