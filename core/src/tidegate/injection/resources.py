"""What the sidecar requests and may use, where pod, cluster and declaration each name a part.

A pod's own word holds. What the cluster or the declaration says gives way to it: a request follows
a lower limit down, and a cluster's limit a pod's own request up. Only a pod that contradicts itself
is denied.
"""

from __future__ import annotations

from typing import Final

from tidegate.injection.quantities import parse_quantity
from tidegate.injection.requested import RequestedSettings

RESOURCES: Final = ("cpu", "memory")


def amounts(requested: RequestedSettings, resource: str) -> tuple[str, str]:
    """Request and limit of a `resource`; the limit is empty where there is none."""
    request_key, limit_key = f"{resource}-request", f"{resource}-limit"
    request, limit = requested.text(request_key), requested.text(limit_key)
    if not limit or parse_quantity(request) <= parse_quantity(limit):
        return request, limit
    if not requested.is_own(request_key):
        return limit, limit
    return (request, limit) if requested.is_own(limit_key) else (request, request)
