"""The chart's own values give the programs the defaults that are declared with their settings."""

from __future__ import annotations

from typing import Any

import pytest
from chart.rendering import render, requires_helm

from tidegate.contract.settings import Row, rows
from tidegate_injector.settings import InjectorSettings
from tidegate_operator.kube.settings import OperatorSettings

PROGRAMS = {"tidegate-operator": OperatorSettings, "tidegate-injector": InjectorSettings}

OF_THE_RELEASE = {
    "TIDEGATE_CERTIFICATE_NAMES",
    "TIDEGATE_LEASE_NAME",
    "TIDEGATE_CA_SECRET",
    "TIDEGATE_CERTIFICATE_SECRET",
    "TIDEGATE_WEBHOOK_CONFIGURATION",
    "TIDEGATE_SIDECAR_IMAGE",
    "TIDEGATE_OPERATOR_URL",
}
"""Made of the release's name, so no default could be the same."""


def literal_values(deployment: dict[str, Any]) -> dict[str, str]:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {v["name"]: v["value"] for v in container["env"] if "value" in v}


@requires_helm
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_chart_without_values_gives_the_declared_defaults(name: str) -> None:
    declared: dict[str, Row] = {row.variable: row for row in rows(PROGRAMS[name])}
    deployment = render().one("Deployment", name)
    given = literal_values(deployment)
    assert len(given) >= 5
    for variable, text in given.items():
        row = declared[variable]
        if variable in OF_THE_RELEASE or row.default is None:
            continue
        assert row.kind.parse(text) == row.kind.parse(row.default), variable
