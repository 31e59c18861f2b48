"""Values and their schema agree; what nobody reads is refused, contradictions end in a sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from chart.rendering import CASES, CHART, helm, refused, requires_helm

VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def objects(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if schema.get("properties"):
        yield path, schema
    for key, below in schema.get("properties", {}).items():
        yield from objects(below, f"{path}.{key}")


def test_the_schema_is_one_and_the_values_follow_it() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(VALUES, SCHEMA)


@pytest.mark.parametrize(("path", "schema"), [*objects(SCHEMA)], ids=lambda v: str(v)[:40])
def test_unknown_values_are_refused_everywhere(path: str, schema: dict[str, Any]) -> None:
    assert schema["additionalProperties"] is False, path


def test_every_value_that_may_be_set_has_its_default_in_the_file() -> None:
    not_shown = {".global", ".operator.resources.claims", ".injector.resources.claims"}
    not_shown |= {".nats.resources.claims"}
    for path, schema in objects(SCHEMA):
        if path.endswith(("issuerRef", "sidecar.defaults")):
            continue
        node = VALUES
        for part in path.split(".")[1:]:
            node = node[part]
        for key in schema["properties"]:
            assert key in node or f"{path}.{key}" in not_shown, f"{path}.{key}"


@requires_helm
@pytest.mark.parametrize("case", CASES)
def test_lint(case: str) -> None:
    done = helm("lint", "--strict", str(CHART), values=CASES[case])
    assert done.returncode == 0, done.stdout + done.stderr


@requires_helm
def test_numbers_of_a_values_file_reach_the_injector_as_they_were_written(tmp_path: Path) -> None:
    """Helm 3 reads them as floats, and writes large ones as 1.3e+08."""
    values = tmp_path / "values.yaml"
    values.write_text("sidecar: {defaults: {ring-bytes: 134217728, heartbeat-s: 1.5}}\n")
    done = helm("template", "tidegate", str(CHART), f"--values={values}")
    assert done.returncode == 0, done.stderr
    assert '"heartbeat-s":"1.5","ring-bytes":"134217728"' in done.stdout


@requires_helm
@pytest.mark.parametrize(
    ("values", "words"),
    [
        (("nats.enabled=true", "sidecar.backplane.url=nats://n:1"), "keep one of them"),
        (("sidecar.backplane.url=nats://n:1", "sidecar.backplane.existingSecret=s"), "keep one"),
        (("sidecar.defaults.backplane=nats://n:1",), "set sidecar.backplane or nats.enabled"),
        (("sidecar.defaults.inject=on",), "only a pod itself can ask"),
        (("certificates.mode=existing-secret",), "needs certificates.existingSecret.name"),
        (("certificates.existingSecret.name=x",), "only read with certificates.mode existing"),
        (("certificates.certManager.issuerRef.name=x",), "only read with certificates.mode cert"),
        (
            ("injector.namespaceSelector.matchLabels.a=b", "injector.excludedNamespaces={x}"),
            "replaces the exclusions",
        ),
        (("operator.watchNamespaces={tidegate-system}",), "release's own namespace"),
        (("nats.maxFileStore=10Gi",), "more than 95 % of nats.persistence.size"),
        (("sidecar.defaults.heartbeat-s=abc",), "/sidecar/defaults/heartbeat-s"),
        (("sidecar.defaults.heartbeat-s=0",), "/sidecar/defaults/heartbeat-s"),
        (("sidecar.defaults.retry=yes",), "/sidecar/defaults/retry"),
        (("sidecar.defaults.heartbeet-s=9",), "additional properties 'heartbeet-s' not allowed"),
        (("operator.defaultPolicy.flipLagMilliseconds=-1",), "flipLagMilliseconds"),
        (("nats.enabld=true",), "additional properties 'enabld' not allowed"),
        (("operator.replicas=two",), "got string, want integer"),
        (("certificates.mode=lookup",), "value must be one of"),
        (("sidecar.backplane.url=redis://n",), "does not match pattern"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_contradictory_and_unknown_values_end_in_a_sentence(
    values: tuple[str, ...], words: str
) -> None:
    assert words in refused(*values)
