"""Building images with buildah, into a store of the tests' own.

``python -m e2e.images.build`` builds all and prints their sizes.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.cache import cache_directory, fingerprint

from e2e.cluster.commands import run
from e2e.cluster.progress import Progress
from e2e.images.archives import Image
from tidegate.contract.errors import MissingToolError, TidegateError
from tidegate_lab.broker import nats_server

ROOT = Path(__file__).parent.parent.parent
REGISTRY = "localhost/"
LATEST = "latest"
BASE = "localhost/tidegate-base"
DEBIAN_SUITE = "bookworm"
DEBIAN_PACKAGES = ("python3", "python3-venv", "ca-certificates")
_NOT_IN_BASE = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
BUILD_TIMEOUT_S = 1800.0


class ImageBuilder:
    """Builds with layers cached between runs; the store is in the user's cache folder."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        self._folder = cache_directory(environment) / "images"
        self._progress = Progress()

    def require(self) -> None:
        """Raise `MissingToolError`, one line, unless images can be built here."""
        missing = [name for name in ("buildah", "mmdebstrap") if shutil.which(name) is None]
        if missing:
            names = " ".join(missing)
            raise MissingToolError(
                f"building images needs {names}: apt-get install --no-install-recommends {names}"
            )
        if os.geteuid() != 0:
            raise MissingToolError("building images needs root: run it with sudo -E")

    def base(self) -> Image:
        """Debian with Python, from packages; made once (about a minute)."""
        self.require()
        words = (DEBIAN_SUITE, *DEBIAN_PACKAGES, *_NOT_IN_BASE)
        name = f"{BASE}:{fingerprint((), *words)}"
        if not self._has(name):
            self._progress.starting("making the base image from Debian packages, once")
            self._commit_base(name)
            self._progress.done("base image")
        return self._archived(name)

    def sidecar(self) -> Image:
        """From ``images/sidecar/Dockerfile``."""
        return self._built("tidegate-sidecar", ROOT / "images/sidecar/Dockerfile", ROOT)

    def operator(self) -> Image:
        """Operator and injector, from ``images/operator/Dockerfile``."""
        return self._built("tidegate-operator", ROOT / "images/operator/Dockerfile", ROOT)

    def nats(self) -> Image:
        """The NATS server that the lab uses, too."""
        server = Path(nats_server())
        return self._built("nats", Path(__file__).parent / "nats.Dockerfile", server.parent)

    def under_name(self, name: str) -> Image:
        """The base under a public image's name, for manifests that are used as they are written.

        It stands in for images of which a pod wants nothing but ``python3``.
        """
        self._buildah("tag", self.base().name, name)
        return self._archived(name)

    def _built(self, name: str, dockerfile: Path, context: Path) -> Image:
        base = self.base()
        latest = f"{REGISTRY}{name}:{LATEST}"
        arguments = [f"--build-arg=BASE_IMAGE={base.name}", *self._certificates()]
        options = ["--isolation=chroot", "--layers", "--pull-never", *arguments]
        self._buildah("build", *options, f"--file={dockerfile}", f"--tag={latest}", context)
        # A name that changes with the contents: pods of a cluster that is there already follow.
        full = f"{REGISTRY}{name}:{self._identity(latest)}"
        self._buildah("tag", latest, full)
        image = self._archived(full)
        above = image.bytes_above(base) / 1e6
        self._progress.done(f"{full}: {above:.1f} MB above the base")
        return image

    def _certificates(self) -> list[str]:
        """Where this machine's network inspects TLS, its certificates are needed inside, too."""
        words = []
        for variable in ("PIP_CERT", "SSL_CERT_FILE"):
            if file := self._environment.get(variable):
                inside = f"/run/e2e/{variable}.pem"
                words += [f"--build-arg={variable}={inside}", f"--volume={file}:{inside}:ro"]
        return words

    def _commit_base(self, name: str) -> None:
        with tempfile.TemporaryDirectory(dir=self._store()) as scratch:
            tar = Path(scratch) / "base.tar"
            include = f"--include={','.join(DEBIAN_PACKAGES)}"
            exclude = [f"--dpkgopt=path-exclude={pattern}" for pattern in _NOT_IN_BASE]
            argv: list[str | Path] = [
                "mmdebstrap",
                "--variant=minbase",
                include,
                *exclude,
                DEBIAN_SUITE,
                tar,
            ]
            run(argv, timeout_s=BUILD_TIMEOUT_S)
            container = self._buildah("from", "scratch").strip()
            try:
                self._buildah("add", container, tar, "/")
                self._buildah("commit", container, name)
            finally:
                self._buildah("rm", container)

    def _archived(self, name: str) -> Image:
        path, _, tag = name.removeprefix(REGISTRY).partition(":")
        words = path.replace("/", "-")
        archive = self._folder / f"{words}-{tag}.tar"
        if not archive.exists():
            for older in self._folder.glob(f"{words}-*.tar"):
                older.unlink()
            half = archive.with_suffix(".part")
            half.unlink(missing_ok=True)
            self._buildah("push", name, f"docker-archive:{half}:{name}")
            half.rename(archive)
        return Image(name, archive)

    def _identity(self, name: str) -> str:
        words = ["--type=image", "--format={{.FromImageID}}", name]
        return self._buildah("inspect", *words).strip()[:12]

    def _has(self, name: str) -> bool:
        return name in self._buildah("images", "--format={{.Name}}:{{.Tag}}").split()

    def _store(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    def _buildah(self, verb: str, *words: str | Path) -> str:
        store = self._store()
        places = [f"--root={store / 'store'}", f"--runroot={store / 'run'}"]
        argv: Sequence[str | Path] = ["buildah", *places, verb, *words]
        return run(argv, timeout_s=BUILD_TIMEOUT_S)


def main() -> int:
    """Build all images; 2 when something is missing."""
    builder = ImageBuilder()
    try:
        for image in (builder.base(), builder.sidecar(), builder.operator(), builder.nats()):
            print(f"{image.name}\t{sum(layer.size for layer in image.layers()) / 1e6:.1f} MB")
    except TidegateError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
