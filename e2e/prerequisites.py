"""What a test needs of the machine: skip with the reason, or fail where e2e is required."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import pytest

from tidegate.contract.errors import MissingToolError

VARIABLE = "TIDEGATE_E2E"
"""``required`` turns skips into failures; CI says so."""

T = TypeVar("T")


def required_or_skipped(find: Callable[[], T]) -> T:
    """What `find` returns; its `MissingToolError` is the reason of the skip or the failure."""
    try:
        return find()
    except MissingToolError as error:
        if os.environ.get(VARIABLE) == "required":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))
