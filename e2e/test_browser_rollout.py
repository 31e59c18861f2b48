"""A page in Chromium lives through a lab rollout, natively and with the TypeScript client."""

from __future__ import annotations

from dataclasses import replace

import pytest
from kit.browsers import browser_context
from kit.node_tools import build
from kit.ports import free_port

from e2e.goals import SMOOTH, missed, show
from e2e.handover.page import SCRIPT, Seen, WithPage
from tidegate.score.scorecard import Run
from tidegate_lab.broker import start_broker
from tidegate_lab.fleet.settings import FleetSettings
from tidegate_lab.load.driver import LoadDriver
from tidegate_lab.processes import ProcessGroup
from tidegate_lab.rollout import measure
from tidegate_lab.settings import RolloutSettings

SETTINGS = RolloutSettings(
    fleet=FleetSettings(pods=3, min_ready_s=2.0), clients=60, budget_per_s=20.0, quiet_s=4.0
)


@pytest.fixture(scope="module", autouse=True)
def typescript_client() -> None:
    """The client, compiled."""
    build()


async def roll_out_under_a_page(settings: RolloutSettings) -> tuple[Run, dict[str, Seen]]:
    """One rollout; returns the lab's run and what the page's two clients have seen."""
    settings = replace(settings, port=free_port())
    kept: list[WithPage] = []
    async with browser_context(SCRIPT) as context, ProcessGroup() as process_group:

        async def start(process_group: ProcessGroup, name: str) -> WithPage:
            clients = await LoadDriver.start(
                process_group, name, settings.clients, settings.handover_share, settings.seed
            )
            kept.append(WithPage(clients, context, settings.port))
            return kept[-1]

        broker = await start_broker(process_group)
        measured = await measure(process_group, broker, settings, lambda _: None, start)
    (page,) = kept
    return measured.run, page.seen


@pytest.mark.timeout(120)
async def test_a_page_gets_every_event_once_and_only_the_native_one_notices() -> None:
    """Both are moved off every pod that goes; the TypeScript client never says a word."""
    run, seen = await roll_out_under_a_page(SETTINGS)
    show("a page in a rollout", [run])
    assert missed([run], SMOOTH) == []
    for kind, one in seen.items():
        assert one.deliveries.expected > 100, kind
        assert (one.deliveries.lost, one.deliveries.duplicated) == (0, 0), kind
        assert (one.receipts.disordered, one.gaps) == (0, 0), kind
        assert one.moves >= 1, f"{kind} was not moved"
    assert seen["client"].errors == []
    assert len(seen["native"].errors) == seen["native"].moves


@pytest.mark.timeout(120)
async def test_without_replay_the_page_misses_events() -> None:
    """And says so: the native one is away for the time of its retry."""
    fleet = replace(SETTINGS.fleet, without=frozenset({"replay"}))
    _, seen = await roll_out_under_a_page(replace(SETTINGS, fleet=fleet))
    assert seen["native"].deliveries.lost > 0
