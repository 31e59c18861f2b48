"""A rollout that 500 TypeScript clients do not notice, and what it takes to make them notice.

The lab's pods, broker, planner and front door; the clients are the built package in two Node
processes. Everything is counted on the wire and again in the application.
"""

from __future__ import annotations

import json

import pytest
from kit.node_tools import build

from e2e.goals import REPORTS, missed, show
from e2e.handover.crowd import TypeScriptCrowd, starter
from e2e.handover.outcome import HANDOVER, Handovers
from tidegate.score.scorecard import Run
from tidegate_lab.broker import start_broker
from tidegate_lab.fleet.settings import FleetSettings
from tidegate_lab.processes import ProcessGroup
from tidegate_lab.rollout import measure
from tidegate_lab.settings import RolloutSettings

NODE_PROCESSES = 2
FULL = RolloutSettings(clients=500, rate_per_s=40.0, budget_per_s=40.0, calm_s=30.0)
SMALL = RolloutSettings(
    fleet=FleetSettings(pods=3, min_ready_s=2.0),
    clients=100,
    rate_per_s=40.0,
    budget_per_s=20.0,
    quiet_s=4.0,
)

pytestmark = pytest.mark.usefixtures("typescript_client")


@pytest.fixture(scope="module")
def typescript_client() -> None:
    """The client, compiled."""
    build()


async def roll_out(settings: RolloutSettings, **broken: bool) -> tuple[Run, Handovers]:
    """One rollout; returns the scorecard's run and what the clients can tell beside it."""
    crowds: list[TypeScriptCrowd] = []
    start = starter(settings.clients, settings.seed, NODE_PROCESSES, crowds, **broken)
    async with ProcessGroup() as process_group:
        broker = await start_broker(process_group)
        measured = await measure(process_group, broker, settings, lambda _: None, start)
    assert measured.unacknowledged == 0
    (crowd,) = crowds
    assert crowd.handovers is not None
    return measured.run, crowd.handovers


@pytest.mark.timeout(300)
async def test_500_clients_hand_over_and_nobody_notices() -> None:
    """Every event once and in order, on the wire and in the application; never without a stream."""
    run, seen = await roll_out(FULL)
    show("handover clients in Node", [run])
    text = json.dumps(seen.to_json(), indent=2)
    print(text, flush=True)
    (REPORTS / "handover-clients-in-node-seen.json").write_text(text + "\n")
    assert missed([run], HANDOVER) == []
    assert seen.missed() == []
    assert seen.told_lost == 0
    assert seen.slots >= FULL.clients * 0.9


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("without", "goal"),
    [(["handover"], "offline_p99_ms"), (["handover", "resume"], "lost")],
)
async def test_clients_that_do_less_miss_the_goals(without: list[str], goal: str) -> None:
    """Without handover there is a time without a stream; what comes then, the cursor brings.

    The cursor alone is not taken away: while two streams overlap, an event is lost without it only
    when it falls between the end of the old one and the start of the new, and on most runs none
    does.
    """
    run, seen = await roll_out(SMALL, **dict.fromkeys(without, False))
    sentences = missed([run], HANDOVER)
    assert goal in {sentence.split()[0] for sentence in sentences}, sentences
    if goal == "lost":
        assert seen.app.lost == run.scorecard.lost
