"""A proxy runs on uvloop; what it does with ordinary requests is tested on asyncio's own, too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop

ON_BOTH = "test_ordinary_requests.py"


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    del config
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]]
    factories = {"uvloop": uvloop.new_event_loop}
    if item.path.name == ON_BOTH:
        factories["asyncio"] = asyncio.new_event_loop
    return factories
