"""Kubernetes' quantities, as far as requests and limits of CPU and memory use them.

Grammar: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ .
"""

from __future__ import annotations

import re
from decimal import Decimal

from tidegate.contract.kinds import Kind

_SUFFIXES = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    "k": Decimal(10) ** 3,
    "M": Decimal(10) ** 6,
    "G": Decimal(10) ** 9,
    "Ki": Decimal(2) ** 10,
    "Mi": Decimal(2) ** 20,
    "Gi": Decimal(2) ** 30,
}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)([a-zA-Z]*)")


def parse_quantity(text: str) -> Decimal:
    """The amount in cores or bytes; raises `ValueError` for what this small grammar lacks."""
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in _SUFFIXES:
        raise ValueError(f"not a quantity: {text!r}")
    return Decimal(match[1]) * _SUFFIXES[match[2]]


def cpu() -> Kind:
    """An amount of CPU greater than nothing: ``100m``, ``0.5``, ``2``."""
    return _amount("an amount of CPU such as 100m or 0.5", ("", "m"))


def memory() -> Kind:
    """An amount of memory greater than nothing: ``128Mi``, ``1G``."""
    suffixes = tuple(suffix for suffix in _SUFFIXES if suffix != "m")
    return _amount("an amount of memory such as 128Mi or 1Gi", suffixes)


def _amount(allowed: str, suffixes: tuple[str, ...]) -> Kind:
    schema = {"type": "string", "pattern": rf"^[0-9]+(\.[0-9]+)?({'|'.join(suffixes)})$"}
    return Kind(allowed, lambda text: _positive(text, suffixes), schema)


def _positive(text: str, suffixes: tuple[str, ...]) -> Decimal:
    amount = parse_quantity(text)
    if amount <= 0 or text.lstrip("0123456789.") not in suffixes:
        raise ValueError(f"not allowed: {text!r}")
    return amount
