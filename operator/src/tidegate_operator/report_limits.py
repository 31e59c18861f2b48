"""The bounds of the report port, apart from it because settings are read before servers load."""

from __future__ import annotations

from typing import Final

from tidegate_process.limits import PortLimits

MAX_REPORTING_PODS: Final = 5000
"""At 47 kB each (`tests/operator_shell/test_many_sidecars.py`) two thirds of the memory that the
chart gives the operator."""

REPORT_LIMITS: Final = PortLimits(connections=MAX_REPORTING_PODS, request_s=10.0)
"""Every pod of the cluster holds a connection."""
