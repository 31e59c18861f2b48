"""What several modules of this folder share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from operator_kube.real_apiserver import Namespace, a_namespace


@pytest.fixture
async def namespace() -> AsyncIterator[Namespace]:
    async with a_namespace() as made:
        yield made
