"""One cluster for all tests of a run, with the images on it and the chart installed."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from e2e import tools
from e2e.cluster.guard import running
from e2e.cluster.provider import Cluster
from e2e.cluster.providers import default_name, provider
from e2e.images.build import ImageBuilder
from e2e.installation import Images, Installation, install
from e2e.kubectl import Kubectl
from e2e.machine import Machine
from e2e.prerequisites import required_or_skipped

NODES = "TIDEGATE_E2E_NODES"


def pytest_configure(config: pytest.Config) -> None:
    """Say what the marks mean."""
    config.addinivalue_line("markers", "e2e: needs a real cluster, which it starts or finds")
    config.addinivalue_line("markers", "first: runs before the cluster of the other tests is up")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that start a cluster of their own come first: a machine has room for one."""
    items.sort(key=lambda item: item.get_closest_marker("first") is None)


@pytest.fixture(scope="session")
def prepared() -> Cluster:
    """A provider that can run here; otherwise skip with the reason, or fail where required."""
    cluster = provider(default_name(os.environ), os.environ)
    for find in (cluster.require, ImageBuilder().require, tools.fetch):
        required_or_skipped(find)
    return cluster


@pytest.fixture(scope="session")
def cluster(prepared: Cluster) -> Iterator[Cluster]:
    """A running cluster: the one that is there already, or one that leaves nothing behind."""
    if prepared.is_running():
        yield prepared
        return
    before = Machine.seen()
    nodes = int(os.environ.get(NODES, "1"))
    with running(prepared, default_name(os.environ), nodes):
        yield prepared
    assert Machine.seen() == before


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
