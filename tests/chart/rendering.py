"""The chart rendered by the real helm, as objects."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from tools.binaries import find

from tidegate.contract.errors import MissingToolError

CHART = Path(__file__).resolve().parents[2] / "charts" / "tidegate"
RELEASE = "tidegate"
NAMESPACE = "tidegate-system"
CA_PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

DEFAULT: tuple[str, ...] = ()
EVERYTHING = (
    "nats.enabled=true",
    "networkPolicy.enabled=true",
    "monitoring.serviceMonitor.enabled=true",
    "monitoring.podMonitor.enabled=true",
    "image.pullSecrets={one,two}",
    "commonLabels.team=edge",
    "sidecar.defaults.heartbeat-s=20",
    "operator.podAnnotations.example=yes-please",
)
CERT_MANAGER = ("certificates.mode=cert-manager", "sidecar.backplane.url=nats://n:4222")
EXISTING_SECRET = (
    "certificates.mode=existing-secret",
    "certificates.existingSecret.name=my-tls",
    f"certificates.existingSecret.caBundle={CA_PEM}",
    "sidecar.backplane.existingSecret=nats-url",
)
SOME_NAMESPACES = ("operator.watchNamespaces={shop,chat}", "sidecar.runAsUser=null")
BARE = (
    "crds.install=false",
    "rbac.aggregate=false",
    "admissionPolicy.enabled=false",
    "uninstall.readmit=false",
    "operator.podDisruptionBudget.enabled=false",
    "injector.podDisruptionBudget.enabled=false",
)
CASES = {
    "default": DEFAULT,
    "everything": EVERYTHING,
    "cert-manager": CERT_MANAGER,
    "existing-secret": EXISTING_SECRET,
    "some-namespaces": SOME_NAMESPACES,
    "bare": BARE,
}


def why_no_helm() -> str:
    try:
        find("helm")
    except MissingToolError as error:
        return str(error)
    return ""


requires_helm = pytest.mark.skipif(bool(why_no_helm()), reason=why_no_helm() or "helm is there")


def helm(*words: str, values: Iterable[str] = ()) -> subprocess.CompletedProcess[str]:
    settings = [word for value in values for word in ("--set", value)]
    command = [str(find("helm")), *words, *settings, "--namespace", NAMESPACE]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


@dataclass(frozen=True)
class Rendered:
    objects: tuple[dict[str, Any], ...]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        return [o for o in self.objects if o["kind"] == kind]

    def one(self, kind: str, name: str) -> dict[str, Any]:
        (found,) = [o for o in self.of_kind(kind) if o["metadata"]["name"] == name]
        return found

    def pods(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for found in self.objects:
            template = (found.get("spec") or {}).get("template")
            if template:
                yield found["metadata"]["name"], template

    def environment(self, name: str) -> dict[str, str]:
        pods = dict(self.pods())
        (container,) = pods[name]["spec"]["containers"]
        return {v["name"]: v.get("value", "from-a-field") for v in container["env"]}


def render(*values: str) -> Rendered:
    done = helm("template", RELEASE, str(CHART), values=values)
    assert done.returncode == 0, done.stderr
    return Rendered(tuple(o for o in yaml.safe_load_all(done.stdout) if o))


def refused(*values: str) -> str:
    done = helm("template", RELEASE, str(CHART), values=values)
    assert done.returncode != 0
    return done.stderr
