"""One cluster for all tests that want as many nodes, with the images on it and the chart installed.

A machine has room for one at a time: pytest groups the tests by the number of nodes, and the
cluster of one group is gone before that of the next one comes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial

import pytest
from tools import binaries

from e2e.cluster.guard import running
from e2e.cluster.provider import Cluster
from e2e.cluster.providers import default_name, provider
from e2e.images.build import ImageBuilder
from e2e.installation import Images, Installation, install
from e2e.kubectl import Kubectl
from e2e.machine import Machine
from e2e.prerequisites import required_or_skipped
from tidegate.contract.errors import MissingToolError

NODES = "TIDEGATE_E2E_NODES"


def pytest_configure(config: pytest.Config) -> None:
    """Say what the marks mean."""
    config.addinivalue_line("markers", "e2e: needs a real cluster, which it starts or finds")
    counterproof = "counterproof: a case fails with what it tests switched off; slow"
    config.addinivalue_line("markers", counterproof)
    config.addinivalue_line("markers", "slow: left out by `make e2e`")
    config.addinivalue_line("markers", "first: runs before the cluster of the other tests is up")
    config.addinivalue_line("markers", "nodes(count): needs a cluster of so many, instead of one")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test's cluster has as many nodes as its mark says."""
    if "cluster" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("nodes")
        nodes = [1 if mark is None else mark.args[0]]
        ids = [pytest.HIDDEN_PARAM]
        metafunc.parametrize("cluster", nodes, indirect=True, scope="session", ids=ids)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that start a cluster of their own come first: a machine has room for one.

    A counter-proof need not be shown each time, so it counts as slow before ``-m`` is applied.
    """
    for item in items:
        if item.get_closest_marker("counterproof"):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.get_closest_marker("first") is None)


@pytest.fixture(scope="session")
def prepared() -> Cluster:
    """A provider that can run here; otherwise skip with the reason, or fail where required."""
    cluster = provider(default_name(os.environ), os.environ)
    for find in (cluster.require, ImageBuilder().require, binaries.fetch):
        required_or_skipped(find)
    return cluster


@pytest.fixture(scope="session")
def cluster(prepared: Cluster, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A running cluster: the one that is there already, or one that leaves nothing behind."""
    nodes = max(request.param, int(os.environ.get(NODES, "1")))
    if prepared.is_running():
        required_or_skipped(partial(_require_nodes, prepared, nodes))
        yield prepared
        return
    before = Machine.seen()
    with running(prepared, default_name(os.environ), nodes):
        yield prepared
    assert Machine.seen() == before


def _require_nodes(cluster: Cluster, nodes: int) -> None:
    """Raise `MissingToolError` where the cluster that runs already is too small."""
    running = len(cluster.nodes())
    if running < nodes:
        problem = f"this test needs {nodes} nodes and the cluster that is up has {running}"
        raise MissingToolError(f"{problem}: python -m e2e.cluster down, then up --nodes {nodes}")


@pytest.fixture(scope="session")
def images(cluster: Cluster) -> Images:
    """The project's images, on every node."""
    builder = ImageBuilder()
    built = Images(builder.sidecar(), builder.operator(), builder.nats())
    for image in built.all:
        cluster.load_image(image.archive)
    return built


@pytest.fixture(scope="session")
def installation(cluster: Cluster, images: Images) -> Installation:
    """The chart, installed and ready."""
    with cluster.network():
        return install(Kubectl(cluster.kubeconfig), images)


@pytest.fixture
def kubectl(cluster: Cluster) -> Iterator[Kubectl]:
    """Inside the cluster's network for the time of the test."""
    with cluster.network():
        yield Kubectl(cluster.kubeconfig)
