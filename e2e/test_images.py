"""What the images hold, who they run as, and how large they are."""

from __future__ import annotations

import re

import pytest

from e2e.cluster.provider import Cluster
from e2e.images.archives import Image
from e2e.images.build import ImageBuilder

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SIDECAR_LIMIT_BYTES = 120e6
NOT_IN_THE_SIDECAR = ("kopf", "kubernetes", "rich", "pytest", "uv")


@pytest.fixture(scope="module")
def builder(prepared: Cluster) -> ImageBuilder:
    """Where images can be built at all."""
    return ImageBuilder()


def packages(image: Image) -> set[str]:
    """The Python distributions that are installed."""
    pattern = re.compile(r"site-packages/([^/]+?)-[^/-]+\.dist-info$")
    return {match[1].lower() for path in image.paths() if (match := pattern.search(path))}


def test_the_sidecar_is_small_and_knows_no_operator_library(builder: ImageBuilder) -> None:
    """Above its base, dependencies included."""
    image, base = builder.sidecar(), builder.base()
    above = image.bytes_above(base)
    print(f"sidecar: {above / 1e6:.1f} MB above the base")
    assert above <= SIDECAR_LIMIT_BYTES
    assert {"tidegate", "uvicorn", "starlette"} <= packages(image)
    assert packages(image).isdisjoint(NOT_IN_THE_SIDECAR)


def test_the_operator_holds_both_of_its_programs(builder: ImageBuilder) -> None:
    """And nothing that only developers need."""
    image = builder.operator()
    print(f"operator: {image.bytes_above(builder.base()) / 1e6:.1f} MB above the base")
    assert {"tidegate", "kopf", "kubernetes", "cryptography"} <= packages(image)
    assert packages(image).isdisjoint({"pytest", "ruff", "mypy", "uv"})


def test_neither_runs_as_root_or_through_a_shell(builder: ImageBuilder) -> None:
    """SIGTERM must reach Python, and an editable install would point at the build's folders."""
    for image in (builder.sidecar(), builder.operator()):
        config = image.config()
        user = str(config["User"]).partition(":")[0]
        assert user.isdigit()
        assert int(user) > 0
        assert config["Entrypoint"][0] == "tidegate"  # type: ignore[index]
        assert not any("editable" in path for path in image.paths())
