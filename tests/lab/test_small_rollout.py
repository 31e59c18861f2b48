"""A tiny fleet of real processes rolls over: the whole lab, in its three modes, in seconds."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tidegate.contract.names import MODE_STOCK, MODE_TIDEGATE
from tidegate_cli.main import main
from tidegate_lab.broker import start_broker
from tidegate_lab.fleet.settings import FleetSettings
from tidegate_lab.processes import ProcessGroup
from tidegate_lab.rollout import Measured, Status, measure
from tidegate_lab.settings import RolloutSettings


async def rollout(mode: str) -> tuple[Measured, list[Status]]:
    shape = FleetSettings(pods=2, ready_delay_s=0.2, min_ready_s=0.5, grace_s=20.0, mode=mode)
    settings = RolloutSettings(
        fleet=shape, clients=20, handover_share=0.2, budget_per_s=40.0, calm_s=0.5, quiet_s=4.0
    )
    seen: list[Status] = []
    async with ProcessGroup() as process_group:
        broker = await start_broker(process_group)
        return await measure(process_group, broker, settings, seen.append), seen


async def test_tidegate_hurts_nobody() -> None:
    measured, seen = await rollout(MODE_TIDEGATE)
    card = measured.run.scorecard
    assert card.expected_deliveries
    assert (card.lost, card.duplicated, card.cut_without_goodbye) == (0, 0, 0)
    assert (card.failed_connects, card.non_200, card.clients_dead) == (0, 0, 0)
    assert card.not_on_new_revision == 0
    assert card.moves_per_client is not None
    assert 1.0 <= card.moves_per_client <= 1.5
    assert card.rollout_s is not None
    assert measured.unacknowledged == 0
    assert {status.phase for status in seen} >= {"calm", "rolling update", "settling"}


async def test_stock_cuts_everybody_and_still_loses_nothing() -> None:
    measured, _ = await rollout(MODE_STOCK)
    card = measured.run.scorecard
    assert card.cut_without_goodbye is not None
    assert card.cut_without_goodbye >= 20
    assert (card.lost, card.duplicated) == (0, 0)
    assert card.offline_p50_ms is not None
    assert card.offline_p50_ms >= 3000


@pytest.mark.parametrize(
    ("option", "value"),
    [("--pods", "0"), ("--handover", "1.5"), ("--rate", "x"), ("--only", "other")],
)
def test_bad_options_are_refused(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["demo", option, value])
    assert end.value.code == 2
    assert option in capsys.readouterr().err


def test_a_rollout_that_cannot_roll_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--surge", "0", "--unavailable", "0"]) == 2
    assert capsys.readouterr().err.startswith("tidegate: --surge: ")


def test_a_port_in_use_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        arguments = ["demo", "--only", "stock", "--port", port, "--report", str(tmp_path / "r")]
        assert main(arguments) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("tidegate: --port: ")
