"""Label selectors, as the API server matches them.

Source of the rules: Kubernetes API reference, LabelSelector (``matchLabels`` and
``matchExpressions`` are ANDed; an absent key satisfies ``NotIn`` and ``DoesNotExist``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether `labels` satisfy a LabelSelector; the empty one selects everything."""
    if not selects(selector.get("matchLabels") or {}, labels):
        return False
    return all(_satisfies(e, labels) for e in selector.get("matchExpressions") or ())


def selects(pairs: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether `labels` hold all of `pairs` (a Service's selector, or ``matchLabels``)."""
    return all(labels.get(key) == value for key, value in pairs.items())


def keys(selector: Mapping[str, Any]) -> frozenset[str]:
    """Every label key that a LabelSelector looks at."""
    expressions = (e["key"] for e in selector.get("matchExpressions") or ())
    return frozenset((*(selector.get("matchLabels") or {}), *expressions))


def _satisfies(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value = labels.get(expression["key"])
    values = expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    return False  # an operator this version does not know selects nothing
