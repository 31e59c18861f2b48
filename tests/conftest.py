"""Settings for all tests: what they run on, and no verdict by the clock of a busy machine.

An asynchronous test runs on asyncio's own loop. ``@pytest.mark.virtual_time`` gives it one whose
time jumps, ``@pytest.mark.asyncio(loop_factories=["asyncio", "uvloop"])`` both of the real ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop
from hypothesis import HealthCheck, settings
from kit.system_programs import INSTALL, missing_packages
from kit.virtual_time import VirtualLoop

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

ASYNCIO: dict[str, LoopFactory] = {"asyncio": asyncio.new_event_loop}
REAL = ASYNCIO | {"uvloop": uvloop.new_event_loop}
VIRTUAL: dict[str, LoopFactory] = {"virtual": VirtualLoop}

settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("fuzz", settings.get_profile("any-machine"), max_examples=10_000)
settings.load_profile("any-machine")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "virtual_time: run on an event loop whose time jumps")


def pytest_unconfigure(config: pytest.Config) -> None:
    """The very last line says what only root can set up, and what that costs."""
    reporter: pytest.TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:
        return
    skipped = reporter.stats.get("skipped", [])
    wanting = sum(INSTALL in str(report.longrepr) for report in skipped)
    if wanting:
        command = f"{INSTALL} {' '.join(missing_packages())}"
        reporter.write_line(f"{wanting} tests need what only root can install: {command}")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, LoopFactory]:
    """What the test runs on, once on each; or what its marker chooses from."""
    if item.get_closest_marker("virtual_time"):
        return VIRTUAL
    marker = item.get_closest_marker("asyncio")
    chooses = marker is not None and "loop_factories" in marker.kwargs
    return REAL if chooses else ASYNCIO
