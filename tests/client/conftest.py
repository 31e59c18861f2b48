"""Fixtures of the clients' tests."""

import pytest
from kit.node_tools import build


@pytest.fixture(scope="package")
def built() -> None:
    """The TypeScript client and its tests, compiled once."""
    build()
