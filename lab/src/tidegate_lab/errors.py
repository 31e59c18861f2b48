"""What can go wrong with a fleet on one machine, for its user."""

from __future__ import annotations

from tidegate.contract.errors import TidegateError


class LabError(TidegateError):
    """Raised when a process of the lab does not come up or dies; the message names it and quotes
    its output.
    """
