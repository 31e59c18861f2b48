"""Writes `manifests/install` out of the chart: the same objects, for people without Helm.

``make generate`` writes them; a test fails while they differ from the chart. Objects and keys that
only Helm reads (hooks, its labels and annotations) are left out.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from tools.binaries import find

ROOT: Final = Path(__file__).resolve().parent.parent
CHART: Final = ROOT / "charts" / "tidegate"
FOLDER: Final = ROOT / "manifests" / "install"
RELEASE: Final = "tidegate"
NAMESPACE: Final = "tidegate-system"
VALUES: Final = ("nats.enabled=true", "uninstall.readmit=false")
HEADER: Final = "# Made from the chart by 'make generate'; do not edit.\n"
_HELMS_LABELS: Final = ("helm.sh/chart", "app.kubernetes.io/managed-by")


def template(*values: str) -> list[dict[str, Any]]:
    """Every object that the chart renders with `values`; raises `MissingToolError` without helm."""
    command = [str(find("helm")), "template", RELEASE, str(CHART), "--namespace", NAMESPACE]
    settings = [word for value in values for word in ("--set", value)]
    done = subprocess.run(  # noqa: S603 - our own chart and values
        [*command, *settings], check=True, capture_output=True, text=True, timeout=60
    )
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def rendered() -> dict[Path, str]:
    """The files of `manifests/install`, as they should be."""
    objects = [_without_helm(document) for document in template(*VALUES)]
    files: dict[str, list[dict[str, Any]]] = {}
    for document in objects:
        files.setdefault(_file_of(document), []).append(document)
    texts = {name: HEADER + yaml.safe_dump_all(files[name], width=100) for name in sorted(files)}
    texts["kustomization.yaml"] = _kustomization([*texts])
    return {FOLDER / name: text for name, text in texts.items()}


def _without_helm(document: dict[str, Any]) -> dict[str, Any]:
    for metadata in _metadata(document):
        for label in _HELMS_LABELS:
            metadata.get("labels", {}).pop(label, None)
        annotations = metadata.get("annotations", {})
        for key in [key for key in annotations if key.startswith("helm.sh/")]:
            del annotations[key]
        if not annotations:
            metadata.pop("annotations", None)
    return document


def _metadata(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield document["metadata"]
    pod_template = (document.get("spec") or {}).get("template")
    if pod_template:
        yield pod_template["metadata"]


def _file_of(document: Mapping[str, Any]) -> str:
    if document["kind"] == "CustomResourceDefinition":
        return "crds.yaml"
    return f"{document['metadata']['labels']['app.kubernetes.io/component']}.yaml"


def _kustomization(names: list[str]) -> str:
    listed = "\n".join(f"  - {name}" for name in ["namespace.yaml", *names])
    return (
        f"{HEADER}#\n"
        "#   kubectl apply --server-side -k manifests/install\n"
        "#\n"
        "# Before taking it away again, open every pod, as the chart's hook would:\n"
        "#   kubectl -n tidegate-system scale deployment/tidegate-operator --replicas=0\n"
        "#   kubectl label pods -A -l tidegate.dev/admit=false --overwrite tidegate.dev/admit=true"
        "\n"
        "apiVersion: kustomize.config.k8s.io/v1beta1\n"
        "kind: Kustomization\n"
        f"resources:\n{listed}\n"
    )
