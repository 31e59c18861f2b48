"""``helm install`` of the project's chart with the images that were just built."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.progress import Progress
from e2e.cluster.provider import ClusterError
from e2e.images.archives import Image
from e2e.kubectl import Kubectl

CHART = Path(__file__).parent.parent / "charts" / "tidegate"
RELEASE = "tidegate"
NAMESPACE = "tidegate-system"
READY_TIMEOUT_S = 60
PARTS = ("statefulset/{}-nats", "deployment/{}-operator", "deployment/{}-injector")
BACKPLANE = f"nats://{RELEASE}-nats.{NAMESPACE}.svc:4222"
"""Where the injected sidecars have their log."""

LOG_LINES = 5
LINE_LENGTH = 1000


@dataclass(frozen=True, slots=True)
class Images:
    """What runs in the cluster."""

    sidecar: Image
    operator: Image
    nats: Image

    @property
    def all(self) -> tuple[Image, ...]:
        """To load."""
        return (self.sidecar, self.operator, self.nats)


@dataclass(frozen=True, slots=True)
class Installation:
    """The release and its parts. The image of the sidecar is what the applications run on, too."""

    kubectl: Kubectl
    images: Images

    def scale(self, component: str, replicas: int) -> None:
        """Scale operator or injector and wait until it is so."""
        name = f"deployment/{RELEASE}-{component}"
        where = f"--namespace={NAMESPACE}"
        self.kubectl("scale", name, where, f"--replicas={replicas}")
        if replicas:
            self.kubectl("wait", name, where, "--for=condition=Available", "--timeout=120s")
            return
        chosen = f"--selector=app.kubernetes.io/component={component}"
        self.kubectl("wait", "pods", chosen, where, "--for=delete", "--timeout=120s")

    @contextmanager
    def changed(self, *values: str) -> Iterator[None]:
        """The release with other values (``key=value``), for the time of the block."""
        install(self.kubectl, self.images, *values)
        try:
            yield
        finally:
            install(self.kubectl, self.images)


def install(kubectl: Kubectl, images: Images, *more: str) -> Installation:
    """Install the release, or bring it to this state, and wait until all of it is ready.

    `more` are further values, ``key=value``; those of an earlier call are forgotten.
    """
    progress = Progress()
    values = [
        "image.pullPolicy=Never",
        *_image("operator.image", images.operator),
        *_image("sidecar.image", images.sidecar),
        *_image("nats.image", images.nats),
        "nats.enabled=true",
        "nats.persistence.enabled=false",
        *more,
    ]
    where = [f"--namespace={NAMESPACE}", "--create-namespace"]
    settings = [f"--set={value}" for value in values]
    kubectl.helm("upgrade", "--install", RELEASE, str(CHART), *where, *settings)
    progress.done("the chart is installed")
    for part in PARTS:
        _wait_for(kubectl, part.format(RELEASE))
    progress.done("operator, injector and NATS are ready")
    return Installation(kubectl, images)


def uninstall(kubectl: Kubectl, *words: str) -> None:
    """``helm uninstall``, until nothing of the release is left; `words` are further options."""
    where = f"--namespace={NAMESPACE}"
    kubectl.helm("uninstall", RELEASE, where, "--wait", *words)
    kubectl("wait", "pods", "--all", where, "--for=delete", "--timeout=60s")


def _wait_for(kubectl: Kubectl, part: str) -> None:
    """Until it is ready; raises `ClusterError` with the end of its log."""
    where = f"--namespace={NAMESPACE}"
    try:
        kubectl("rollout", "status", part, where, f"--timeout={READY_TIMEOUT_S}s")
    except ClusterError as error:
        lines = kubectl("logs", part, where, f"--tail={LOG_LINES}").splitlines()
        said = "\n".join(line[:LINE_LENGTH] for line in lines)
        raise ClusterError(f"{error}\n{said}") from error


def _image(key: str, image: Image) -> list[str]:
    repository, _, tag = image.name.rpartition(":")
    return [f"{key}.repository={repository}", f"{key}.tag={tag}"]
