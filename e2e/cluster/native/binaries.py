"""Building Kubernetes, etcd, CoreDNS and pause from their Go modules, once.

The modules stand in ``e2e/cluster/binaries`` with pinned versions and checksums; what they build
is kept in the cache under a name made of their contents, so that a changed pin builds anew and a
fresh clone does not. Upstream sets its version through the linker, and so does this: with the
default version charts' ``kubeVersion`` and kubectl's skew check would be wrong.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tools.cache import fingerprint

from e2e.cluster.commands import run
from e2e.cluster.progress import Progress

MODULES = Path(__file__).parent.parent / "binaries"
BUILD_TIMEOUT_S = 3600.0
_VERSION_PACKAGES = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
_KUBERNETES_PIN = re.compile(r"k8s\.io/kubernetes v(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Binaries:
    """Where the built programs are. `kube` is every Kubernetes program in one."""

    kube: Path
    etcd: Path
    coredns: Path
    pause: Path


def kubernetes_version(modules: Path = MODULES) -> tuple[str, str, str]:
    """Major, minor and patch as pinned in the Kubernetes module."""
    pinned = _KUBERNETES_PIN.search((modules / "kubernetes" / "go.mod").read_text())
    assert pinned is not None
    return pinned[1], pinned[2], pinned[3]


def build(cache: Path, progress: Progress, modules: Path = MODULES) -> Binaries:
    """Return the programs, building those that the cache lacks (about 7 minutes on two cores).

    Raises `ClusterError` with the compiler's words.
    """
    return Binaries(
        kube=_built("kubernetes", _kubernetes_flags(modules), cache, progress, modules),
        etcd=_built("etcd", "-s -w", cache, progress, modules),
        coredns=_built("coredns", "-s -w", cache, progress, modules),
        pause=_built("pause", "-s -w", cache, progress, modules),
    )


def build_helm3(cache: Path, progress: Progress, modules: Path = MODULES) -> Path:
    """Return Helm 3, building it where the cache lacks it; raises `ClusterError`.

    The chart is for Helm 3 and 4, and Helm 4 is what `tools.binaries` has.
    """
    package = "helm.sh/helm/v3/cmd/helm"
    return _built("helm3", "-s -w", cache, progress, modules, package)


def _kubernetes_flags(modules: Path) -> str:
    major, minor, patch = kubernetes_version(modules)
    values = {
        "gitVersion": f"v{major}.{minor}.{patch}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "unknown",
        "buildDate": "1970-01-01T00:00:00Z",
    }
    settings = [
        f"-X {package}.{name}={value}"
        for package in _VERSION_PACKAGES
        for name, value in values.items()
    ]
    return " ".join(["-s -w", *settings])


def _built(
    name: str, linker: str, cache: Path, progress: Progress, modules: Path, package: str = "."
) -> Path:
    module = modules / name
    sources = [path for path in module.iterdir() if path.suffix in (".go", ".mod", ".sum")]
    target = cache / "binaries" / f"{name}-{fingerprint(sources, linker)}"
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    progress.starting(f"building {name} from its Go module, once")
    scratch = Path(tempfile.mkdtemp(dir=target.parent))
    try:
        half = scratch / name
        reproducible = ["-mod=readonly", "-trimpath", "-buildvcs=false"]
        run(
            ["go", "build", *reproducible, "-ldflags", linker, "-o", half, package],
            cwd=module,
            env={**os.environ, "CGO_ENABLED": "0"},
            timeout_s=BUILD_TIMEOUT_S,
        )
        half.rename(target)  # a build that was broken off leaves no program that looks whole
    finally:
        shutil.rmtree(scratch)
    progress.done(f"{name} built, {target.stat().st_size / 1e6:.0f} MB")
    return target
