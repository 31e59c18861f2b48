"""``tidegate simulate`` refuses what it cannot simulate or write, before it simulates anything."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from tidegate.contract.errors import SettingsError
from tidegate_lab.simulate.command import COMMAND
from tidegate_lab.simulate.fleet import new_drain
from tidegate_lab.simulate.run import simulate
from tidegate_lab.simulate.settings import Settings

FLOATS = ["--budget", "--ready-delay", "--min-ready", "--grace", "--skew", "--lag", "--strays"]
INTEGERS = ["--pods", "--clients", "--surge", "--unavailable", "--seed", "--crash"]


def started(*words: str) -> int:
    parser = argparse.ArgumentParser()
    COMMAND.add_arguments(parser)
    return COMMAND.run(parser.parse_args(words))


@pytest.mark.parametrize("value", ["inf", "nan", "1e300", "-1"])
@pytest.mark.parametrize("option", [*FLOATS, "--accept-rate"])
def test_a_number_out_of_range_gets_a_sentence(option: str, value: str) -> None:
    crash = ["--crash", "10"] if option == "--accept-rate" else []
    with pytest.raises(SettingsError, match=rf"^{option}: is .*, must be from .* to ") as refused:
        started(*crash, f"{option}={value}")
    assert refused.value.name == option


@pytest.mark.parametrize("value", ["-1", "9" * 400])
@pytest.mark.parametrize("option", INTEGERS)
def test_a_whole_number_out_of_range_gets_a_sentence(option: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{option}: is .{{1,40}}, must be from .* to "):
        started(f"{option}={value}")


@pytest.mark.parametrize("more", [[], ["--crash", "1"]])
def test_a_file_that_cannot_be_written_is_found_before_the_run(
    tmp_path: Path, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"^--json: "):
        started(f"--json={tmp_path / 'file' / 'under.json'}", "--pods=1", "--clients=1", *more)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("grace_s", "reserve_s"), [(2.0, 1.0), (120.0, 5.0)])
def test_the_reserve_is_the_one_that_the_injector_sets(grace_s: float, reserve_s: float) -> None:
    assert new_drain(Settings(grace_s=grace_s)).settings.reserve_s == reserve_s


def test_a_run_goes_on_until_every_client_is_back() -> None:
    """All five pods are away at once for longer than the quiet that ends a run."""
    settings = Settings(
        policy="stock", pods=5, clients=500, max_surge=0, max_unavailable=5, ready_delay_s=20.0
    )
    card = simulate(settings).scorecard
    assert (card.lost, card.not_on_new_revision, card.moves_per_client) == (0, 0, 1.0)
    assert card.offline_p50_ms is not None
    assert card.offline_p50_ms >= 20_000


@pytest.mark.parametrize("strategy", ["StatefulSet", "Recreate"])
def test_a_set_without_surge_is_simulated_and_judged_by_no_goal_of_another(
    strategy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ("--pods", "3", "--clients", "60", "--budget", "10", "--ready-delay", "2")
    assert started("--strategy", strategy, *small, "--json", "-") == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert run["scorecard"]["cut_without_goodbye"] == 0
    assert run["scorecard"]["rollout_over_limit"] is None
