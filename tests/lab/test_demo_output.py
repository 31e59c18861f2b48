"""What the demo tells: tables, verdict, JSON, report, exit status."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tidegate.contract.errors import SettingsError
from tidegate.score.measures import StreamChange
from tidegate.score.observe import Observations
from tidegate.score.scorecard import SCORECARD_KEYS, Run, Scorecard
from tidegate_lab.demo.conduct import tell
from tidegate_lab.demo.plots import per_second, streams_over_time
from tidegate_lab.fleet.cluster import FleetEvent
from tidegate_lab.rollout import Measured
from tidegate_lab.settings import RolloutSettings

SEEN = Observations(
    pods=1,
    clients=2,
    budget_per_s=80.0,
    started_s=100.0,
    moves=[1, 1],
    arrivals_s=[103.0, 103.2],
    stream_changes=[
        StreamChange(90.0, "old", 1),
        StreamChange(91.0, "old", 1),
        StreamChange(102.0, "old", -1),
        StreamChange(103.0, "new", 1),
    ],
    live_pods=["new"],
    new_pods=["new"],
)
GOOD = Scorecard(
    lost=0,
    duplicated=0,
    cut_without_goodbye=0,
    failed_connects=0,
    non_200=0,
    clients_dead=0,
    moves_per_client=1.0,
    balance_max_over_mean=1.05,
    balance_min_over_mean=0.95,
    peak_over_budget=1.1,
    rollout_s=27.0,
)
STOCK = Scorecard(peak_over_budget=4.5, rollout_s=25.0)


def measured(mode: str, card: Scorecard) -> Measured:
    events = (FleetEvent(101.0, "Paused", "<why>", True),)
    return Measured(Run(mode, "lab", 1, 2, 80.0, card), SEEN, {}, 10, 0, 0, events)


def told(tmp_path: Path, *runs: Measured, json_target: str | None = None) -> int:
    return tell(runs, RolloutSettings(), tmp_path / "deep" / "demo.html", json_target)


def test_every_goal_met_is_zero(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(tmp_path, measured("stock", STOCK), measured("tidegate", GOOD)) == 0
    out = capsys.readouterr().out
    assert "Every goal is met." in out
    assert all(key in out for key in SCORECARD_KEYS)


@pytest.mark.parametrize(
    ("stock", "tidegate", "line"),
    [
        (STOCK, replace(GOOD, lost=1), "Goal missed: lost == 0: 1"),
        (STOCK, replace(GOOD, rollout_s=60.0), "Goal missed: rollout_over_limit <= 1.25"),
        (replace(STOCK, peak_over_budget=2.0), GOOD, "No proof: stock's peak is 2 budgets"),
    ],
)
def test_a_miss_is_said_and_one(
    stock: Scorecard,
    tidegate: Scorecard,
    line: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert told(tmp_path, measured("stock", stock), measured("tidegate", tidegate)) == 1
    assert line in capsys.readouterr().out


def test_a_busy_machine_is_said_beside_a_miss_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(tmp_path, replace(measured("tidegate", replace(GOOD, lost=1)), late_s=0.7)) == 1
    assert "up to 0.7 s late" in capsys.readouterr().out
    assert told(tmp_path, replace(measured("tidegate", GOOD), late_s=0.7)) == 0
    assert "This machine was busy" not in capsys.readouterr().out


def test_tidegate_alone_is_judged_without_the_goals_that_need_stock(tmp_path: Path) -> None:
    assert told(tmp_path, measured("tidegate", GOOD)) == 0


def test_stock_alone_proves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(tmp_path, measured("stock", STOCK)) == 1
    assert "no goal was judged" in capsys.readouterr().out


def test_json_on_standard_output_is_alone_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told(tmp_path, measured("stock", STOCK), measured("tidegate", GOOD), json_target="-")
    said = capsys.readouterr()
    runs = json.loads(said.out)["runs"]
    assert [run["mode"] for run in runs] == ["stock", "tidegate"]
    assert runs[1]["scorecard"]["rollout_over_limit"] is not None
    assert "Every goal is met." in said.err


def test_json_goes_to_a_file(tmp_path: Path) -> None:
    target = tmp_path / "out" / "runs.json"
    told(tmp_path, measured("tidegate", GOOD), json_target=str(target))
    assert json.loads(target.read_text())["runs"][0]["pods"] == 1


def test_the_report_is_one_file_that_asks_nobody(tmp_path: Path) -> None:
    told(tmp_path, measured("stock", STOCK), measured("tidegate", replace(GOOD, lost=3)))
    page = (tmp_path / "deep" / "demo.html").read_text()
    assert not [part for part in ("<script", "<link", "src=", "@import", "url(") if part in page]
    assert "Goal missed: lost == 0: 3" in page
    assert "&lt;why&gt;" in page


def test_files_that_cannot_be_written_are_said_by_their_option(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(SettingsError, match="--json"):
        told(tmp_path, measured("tidegate", GOOD), json_target=str(blocked / "x"))
    with pytest.raises(SettingsError, match="--report"):
        tell([measured("tidegate", GOOD)], RolloutSettings(), blocked / "x", None)


def test_the_lines_begin_shortly_before_the_rollout() -> None:
    lines = streams_over_time(SEEN.stream_changes, SEEN.started_s)
    assert lines["old"] == ([-5.0, 2.0, 3.0], [2, 1, 1])
    assert lines["new"] == ([-5.0, 3.0, 3.0], [0, 1, 1])


def test_moves_per_second_leave_no_second_out() -> None:
    assert per_second([100.1, 100.9, 103.0], 100.0) == ([0.5, 1.5, 2.5, 3.5], [2, 0, 0, 1])
    assert per_second([], 100.0) == ([0.5], [0])
