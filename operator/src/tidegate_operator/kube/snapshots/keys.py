"""Which workload: by namespace, kind and name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkloadKey:
    """Which workload: as text ``namespace/Kind/name``."""

    namespace: str
    kind: str
    name: str

    def __str__(self) -> str:
        """The planner's name for it."""
        return f"{self.namespace}/{self.kind}/{self.name}"
