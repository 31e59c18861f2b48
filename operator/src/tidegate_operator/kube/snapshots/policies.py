"""DrainPolicy objects: their rules, and the pods they select.

The API server has validated and defaulted them by the CRD's schema; a field that is missing all
the same (an older CRD) takes the operator's default. Of several policies that select a workload
the oldest wins, as in the Gateway API, so that a new one never takes over what works.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tidegate.contract.errors import DocumentError
from tidegate.rollout.snapshot import Policy
from tidegate_kubernetes import selectors
from tidegate_kubernetes.objects import PolicyObject

_SWITCH = {"Enabled": True, "Disabled": False}


@dataclass(frozen=True, slots=True)
class DrainRules:
    """A policy as the planner takes it, and the two bounds that shape a pod's deadline.

    `window_s`: a drain is over so long after the deletion. `reserve_s`: the end of the grace
    period that is left alone, beside what the sidecar keeps. ``None``: no such bound.
    """

    policy: Policy
    window_s: float | None = None
    reserve_s: float | None = None


def rules_of(spec: Mapping[str, Any], default: Policy) -> DrainRules:
    """The rules of a DrainPolicy's spec over `default`; raises `DocumentError` with the field."""
    window_s = _number(spec, "windowSeconds", 1.0)
    reserve_s = _number(spec, "reserveSeconds", 0.0)
    policy = replace(
        default,
        budget_per_s=_or(_number(spec, "budgetPerSecond", 0.1), default.budget_per_s),
        steering=_enabled(spec, "steering", default.steering),
        rebalance=_enabled(spec, "rebalance", default.rebalance),
        retry_ms=round(_or(_number(spec, "retryMilliseconds", 1.0), default.retry_ms)),
        flip_lag_s=_or(_milliseconds(spec, "flipLagMilliseconds", 0.0), default.flip_lag_s),
        flip_interval_s=_or(
            _milliseconds(spec, "flipIntervalMilliseconds", 100.0), default.flip_interval_s
        ),
    )
    return DrainRules(policy, window_s, reserve_s)


def policy_for(
    policies: Iterable[PolicyObject], namespace: str, labels: Mapping[str, str]
) -> PolicyObject | None:
    """The policy that governs pods with these labels: the oldest of those that select them."""
    found = [
        p
        for p in policies
        if p.meta.namespace == namespace and selectors.matches(p.spec.get("selector") or {}, labels)
    ]
    return min(found, key=lambda p: (p.meta.created_s, p.meta.name), default=None)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _milliseconds(spec: Mapping[str, Any], field: str, least: float) -> float | None:
    value = _number(spec, field, least)
    return None if value is None else value / 1000


def _number(spec: Mapping[str, Any], field: str, least: float) -> float | None:
    value = spec.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value < least:
        raise DocumentError("DrainPolicy", f"spec.{field}", f"must be a number, at least {least:g}")
    return float(value)


def _enabled(spec: Mapping[str, Any], field: str, default: bool) -> bool:
    value = spec.get(field)
    if value is None:
        return default
    if value not in _SWITCH:
        raise DocumentError("DrainPolicy", f"spec.{field}", "must be Enabled or Disabled")
    return _SWITCH[value]
