"""`manifests/` says the same as the chart, and the example is injected and steered."""

from __future__ import annotations

import http.server
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart.rendering import requires_helm
from manifests.render import FOLDER, rendered
from tools.generate import generated

from tidegate.contract import kube, names
from tidegate.contract.publish import Publish
from tidegate.contract.sidecar import env
from tidegate.injection.inject import Injected, inject
from tidegate.injection.settings import InjectionSettings

EXAMPLE = FOLDER.parent / "example"
SETTINGS = InjectionSettings(image="i", version="1", defaults={"backplane": "nats://n:4222"})


def load(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    return document


@pytest.mark.parametrize(
    ("path", "text"), generated().items(), ids=lambda v: getattr(v, "name", "")
)
def test_what_is_derived_from_declarations_is_up_to_date(path: Path, text: str) -> None:
    assert path.read_text() == text, "run 'make generate'"


@requires_helm
def test_the_manifests_are_the_charts() -> None:
    desired = rendered()
    for path, text in desired.items():
        assert path.read_text() == text, "run 'make generate'"
    assert {*FOLDER.iterdir()} == {*desired, FOLDER / "namespace.yaml"}


@pytest.mark.parametrize("folder", [FOLDER, EXAMPLE], ids=lambda folder: folder.name)
def test_a_kustomization_names_the_files_that_are_there(folder: Path) -> None:
    kustomization = load(folder / "kustomization.yaml")
    there = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == there


def test_the_example_is_injected_without_a_warning() -> None:
    template = load(EXAMPLE / "deployment.yaml")["spec"]["template"]
    decision = inject(template, SETTINGS, namespace="default", token="t")
    assert isinstance(decision, Injected)
    assert decision.patch
    assert decision.warnings == ()


def test_the_examples_service_is_a_stream_service() -> None:
    service = load(EXAMPLE / "service-sse.yaml")["spec"]
    deployment = load(EXAMPLE / "deployment.yaml")["spec"]
    (port,) = service["ports"]
    assert port["targetPort"] == kube.CONTAINER_PORT_STREAMS
    assert service["selector"][names.LABEL_ADMIT] == "true"
    assert service["selector"].items() <= deployment["template"]["metadata"]["labels"].items()
    assert names.LABEL_ADMIT not in deployment["selector"]["matchLabels"]
    assert service.keys() == {"selector", "ports"}


def test_the_example_publishes_what_a_sidecar_takes() -> None:
    bodies: list[bytes] = []

    class Sidecar(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == names.PATH_PUBLISH
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    source = EXAMPLE / "ticker.py"
    assert f'"{names.PUBLISH_PORT}"' in source.read_text()
    with http.server.HTTPServer(("127.0.0.1", 0), Sidecar) as server:
        server.timeout = 20
        environ = {env("publish_port"): str(server.server_port)}
        with subprocess.Popen([sys.executable, source], env=environ) as ticker:
            try:
                server.handle_request()
                ticker.terminate()
                assert ticker.wait(20) == 0
            finally:
                ticker.kill()
    published = Publish.from_bytes(bodies[0], 1000)
    assert published.to.topics == ("ticks",)
