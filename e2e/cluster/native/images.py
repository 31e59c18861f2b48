"""Images on the nodes: loading an archive, and making the one that holds a pod's sandbox."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from e2e.cluster.commands import run
from e2e.cluster.native.files import CONTAINERD_SOCKET
from e2e.cluster.native.layout import PAUSE_IMAGE, Layout
from e2e.cluster.native.processes import daemon_environment, entering

IMPORT_TIMEOUT_S = 300.0
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


def ctr(layout: Layout, node: int, *words: str | Path) -> str:
    """Run containerd's own client on a node, in the kubelet's namespace; returns its output."""
    client = ["ctr", f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io"]
    argv = [*entering(layout, node), *client, *words]
    return run(argv, env=daemon_environment(), timeout_s=IMPORT_TIMEOUT_S)


def import_image(layout: Layout, node: int, archive: Path) -> None:
    """Load an archive; layers that the node has already cost nothing but their reading."""
    ctr(layout, node, "images", "import", archive)


def write_pause_image(pause: Path, archive: Path) -> None:
    """An image with one file, as an OCI layout in a tar (image-spec, image-layout.md)."""
    layer = _tar({"pause": pause.read_bytes()}, mode=0o755)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Entrypoint": ["/pause"]},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }
    raw_config = json.dumps(config).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _descriptor(_CONFIG, raw_config),
        "layers": [_descriptor(_LAYER, layer)],
    }
    raw_manifest = json.dumps(manifest).encode()
    named = {"io.containerd.image.name": PAUSE_IMAGE}
    index = {
        "schemaVersion": 2,
        "manifests": [{**_descriptor(_MANIFEST, raw_manifest), "annotations": named}],
    }
    files = {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps(index).encode(),
    }
    for blob in (layer, raw_config, raw_manifest):
        files["blobs/" + _digest(blob).replace(":", "/")] = blob
    archive.write_bytes(_tar(files))


def _digest(blob: bytes) -> str:
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}


def _tar(files: dict[str, bytes], mode: int = 0o644) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
