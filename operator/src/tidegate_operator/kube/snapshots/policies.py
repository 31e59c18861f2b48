"""The DrainPolicy of some pods.

Of several policies that select a workload the oldest wins, as in the Gateway API, so that a new
one never takes over what works.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tidegate_kubernetes import selectors
from tidegate_kubernetes.objects import PolicyObject


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
