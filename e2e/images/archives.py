"""What is inside an image's archive (the format of ``docker save``)."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer by its content's digest, and its uncompressed size in bytes."""

    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Image:
    """An image as the tests load it: its name and the archive."""

    name: str
    archive: Path

    def layers(self) -> tuple[Layer, ...]:
        """Its layers, the base's first."""
        with tarfile.open(self.archive) as tar:
            described = json.loads(_read(tar, "manifest.json"))[0]
            config = json.loads(_read(tar, described["Config"]))
            sizes = [_size(tar, member) for member in described["Layers"]]
        digests = config["rootfs"]["diff_ids"]
        return tuple(Layer(d, s) for d, s in zip(digests, sizes, strict=True))

    def bytes_above(self, base: Image) -> int:
        """The size of the layers that it does not share with its base."""
        shared = {layer.digest for layer in base.layers()}
        return sum(layer.size for layer in self.layers() if layer.digest not in shared)

    def config(self) -> dict[str, object]:
        """User, entry point and environment, as the runtime reads them."""
        with tarfile.open(self.archive) as tar:
            described = json.loads(_read(tar, "manifest.json"))[0]
            config: dict[str, object] = json.loads(_read(tar, described["Config"]))["config"]
        return config

    def paths(self) -> set[str]:
        """Every file name in its layers."""
        names: set[str] = set()
        with tarfile.open(self.archive) as tar:
            for member in json.loads(_read(tar, "manifest.json"))[0]["Layers"]:
                with tarfile.open(fileobj=tar.extractfile(member)) as layer:
                    names.update(layer.getnames())
        return names


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    member = tar.extractfile(name)
    assert member is not None
    return member.read()


def _size(tar: tarfile.TarFile, name: str) -> int:
    member = tar.getmember(name)
    while member.issym():  # a layer that occurs twice is stored once
        member = tar.getmember(str(Path(member.name).parent / member.linkname))
    return member.size
