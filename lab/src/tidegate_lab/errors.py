"""What can go wrong with a fleet on one machine, for the person who started it."""

from __future__ import annotations

from tidegate.contract.errors import TidegateError


class LabError(TidegateError):
    """Raised when a process of the lab does not come up or dies; says which and what it wrote."""
