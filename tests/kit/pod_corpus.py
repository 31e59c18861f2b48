"""The corpus of pods, and the few lines of RFC 6902 that a patch of ours needs."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from tidegate.injection.inject import Denied, Injected, inject
from tidegate.injection.settings import InjectionSettings

FOLDER = Path(__file__).parent / "pods"
CA_PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
SETTINGS = InjectionSettings(
    image="registry.example/tidegate-sidecar:1",
    version="1.2.3",
    image_pull_secrets=("mirror",),
    operator_url="https://tidegate-operator.tidegate.svc:9443",
    operator_ca_pem=CA_PEM,
    defaults={"backplane": "nats://tidegate-nats.tidegate.svc:4222"},
)
TOKEN = "token-of-this-pod"


def files(kind: str) -> list[Path]:
    found = sorted((FOLDER / kind).glob("*.yaml"))
    assert found
    return found


def load(path: Path) -> dict[str, Any]:
    pod: dict[str, Any] = yaml.safe_load(path.read_text())
    return pod


def allowed(name: str) -> dict[str, Any]:
    return load(FOLDER / "allowed" / f"{name}.yaml")


def small_pod(**annotations: str) -> dict[str, Any]:
    keys = {f"tidegate.dev/{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {
        "metadata": {
            "name": "small",
            "annotations": {"tidegate.dev/inject": "true", **keys},
            "labels": {"tidegate.dev/admit": "true"},
        },
        "spec": {"containers": [{"name": "app", "image": "app"}]},
    }


def decide(pod: dict[str, Any], settings: InjectionSettings = SETTINGS) -> Injected | Denied:
    before = copy.deepcopy(pod)
    decision = inject(pod, settings, namespace="shop", token=TOKEN)
    assert pod == before, "the pod given is not to be changed"
    return decision


def patched(pod: dict[str, Any], settings: InjectionSettings = SETTINGS) -> dict[str, Any]:
    decision = decide(pod, settings)
    assert isinstance(decision, Injected), decision
    return apply_patch(pod, decision.patch)


def sidecar_of(pod: dict[str, Any]) -> dict[str, Any]:
    (found,) = [c for c in pod["spec"]["initContainers"] if c["name"] == "tidegate"]
    assert isinstance(found, dict)
    return found


def env_of(pod: dict[str, Any]) -> dict[str, Any]:
    variables = sidecar_of(pod)["env"]
    assert len({v["name"] for v in variables}) == len(variables)
    return {v["name"]: v.get("value", v.get("valueFrom")) for v in variables}


def apply_patch(document: dict[str, Any], operations: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    result = copy.deepcopy(document)
    for operation in operations:
        *parents, last = [
            part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]
        ]
        node: Any = result
        for part in parents:
            node = node[int(part)] if isinstance(node, list) else node[part]
        if operation["op"] == "remove":
            del node[int(last) if isinstance(node, list) else last]
        elif isinstance(node, list):
            node.insert(len(node) if last == "-" else int(last), operation["value"])
        else:
            node[last] = operation["value"]
    return result
