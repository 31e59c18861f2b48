"""The spec of a DrainPolicy: what it makes of the default, and what it must not hold."""

from __future__ import annotations

from typing import Any

import pytest

from tidegate.contract.errors import DocumentError
from tidegate.rollout.resource import FIELDS, policy_of
from tidegate.rollout.snapshot import Policy

DEFAULT = Policy(budget_per_s=80.0, steering=False)


@pytest.mark.parametrize(
    ("spec", "policy"),
    [
        ({}, DEFAULT),
        ({"budgetPerSecond": None}, DEFAULT),
        ({"budgetPerSecond": 0.1}, Policy(budget_per_s=0.1, steering=False)),
        ({"steering": "Enabled"}, Policy(budget_per_s=80.0, steering=True)),
        (
            {"rebalance": "Disabled"},
            Policy(budget_per_s=80.0, steering=False, rebalance=False),
        ),
        ({"flipLagMilliseconds": 1500}, Policy(80.0, steering=False, flip_lag_s=1.5)),
        ({"flipIntervalMilliseconds": 100}, Policy(80.0, steering=False, flip_interval_s=0.1)),
        ({"retryMilliseconds": 60_000}, Policy(80.0, steering=False, retry_ms=60_000)),
        (
            {"windowSeconds": 90.0, "reserveSeconds": 0},
            Policy(80.0, 90.0, 0.0, steering=False),
        ),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_field_that_is_given_replaces_the_default(spec: dict[str, Any], policy: Policy) -> None:
    assert policy_of(spec, DEFAULT) == policy


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"budgetPerSecond": 0.09}, "spec.budgetPerSecond: must be a number from 0.1 to 1000000"),
        ({"budgetPerSecond": 1_000_001}, "spec.budgetPerSecond: must be a number from"),
        ({"budgetPerSecond": True}, "spec.budgetPerSecond: must be a number"),
        ({"retryMilliseconds": "750"}, "spec.retryMilliseconds: must be a number"),
        ({"flipLagMilliseconds": 60_001}, "spec.flipLagMilliseconds: must be a number from 0 to 6"),
        ({"steering": True}, "spec.steering: must be Enabled or Disabled"),
        (
            {"windowSeconds": 9, "reserveSeconds": 9},
            "spec.reserveSeconds: must be less than windowSeconds",
        ),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_a_field_out_of_its_bounds_is_named_with_what_is_allowed(
    spec: dict[str, Any], problem: str
) -> None:
    with pytest.raises(DocumentError) as refused:
        policy_of(spec, DEFAULT)
    assert problem in str(refused.value)


def test_the_schema_has_the_units_and_defaults_of_the_custom_resource() -> None:
    schemas = {field.name: dict(field.schema) for field in FIELDS}
    assert all(schema.pop("description") for schema in schemas.values())
    assert schemas["flipLagMilliseconds"] == {
        "type": "integer",
        "minimum": 0,
        "maximum": 60_000,
        "default": 1100,
    }
    assert schemas["windowSeconds"] == {"type": "integer", "minimum": 1, "maximum": 86_400}
    assert schemas["steering"] == {
        "type": "string",
        "enum": ["Enabled", "Disabled"],
        "default": "Enabled",
    }
    assert schemas["budgetPerSecond"]["type"] == "number"
    assert schemas["budgetPerSecond"]["minimum"] == 0.1
    assert {field.name for field in FIELDS if field.is_switch} == {"steering", "rebalance"}
