"""A pod dies without a word: its clients are back as fast as the fleet can take them."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

import pytest

from tidegate.contract.errors import SettingsError
from tidegate_cli.main import main
from tidegate_lab.simulate.command import COMMAND
from tidegate_lab.simulate.crash_model import CrashOutcome, CrashSettings, simulate_crash

SEEDS = (1, 2, 3, 4, 5)


@pytest.mark.parametrize("accept_rate_per_s", [200.0, 400.0, 1000.0])
@pytest.mark.parametrize("seed", SEEDS)
def test_everybody_is_back_as_fast_as_the_fleet_can_take_them(
    accept_rate_per_s: float, seed: int
) -> None:
    outcome = simulate_crash(CrashSettings(2000, accept_rate_per_s, seed))
    assert outcome.missed() == []
    assert outcome.t99_over_least >= 0.9, "nobody can beat the fleet's own rate"


@pytest.mark.parametrize("seed", SEEDS)
def test_without_an_assigned_spread_the_wave_is_bounced_and_comes_again(seed: int) -> None:
    outcome = simulate_crash(CrashSettings(2000, 200.0, seed, assigned=False))
    # Bounces are appointments, so nobody is late; but most ask again and again.
    assert [sentence.split()[0] for sentence in outcome.missed()] == ["attempts_max"]
    assert outcome.bounced > 2000


def test_streams_that_are_never_told_anew_crowd_the_start() -> None:
    settings = CrashSettings(2000, 200.0)
    crowded = simulate_crash(replace(settings, retold=False))
    assert crowded.attempts_max > 2 * simulate_crash(settings).attempts_max
    assert crowded.peak_attempts_1s > 2 * simulate_crash(settings).peak_attempts_1s


def test_the_spread_has_a_price_for_a_client_that_is_alone() -> None:
    outcome = simulate_crash(CrashSettings(2000, 1000.0))
    assert outcome.blip_p50_s == pytest.approx(1.0 + outcome.least_s / 2, abs=0.1)
    assert outcome.blip_p99_s == pytest.approx(1.0 + outcome.least_s, abs=0.1)


def test_a_fleet_too_small_for_ever_is_said_to_be_so() -> None:
    outcome = simulate_crash(CrashSettings(200, 0.1))
    assert outcome.never_back > 0
    assert outcome.to_json()["t99_s"] is None


def test_the_same_seed_gives_the_same_crash() -> None:
    settings = CrashSettings(200, 100.0)
    assert simulate_crash(settings) == simulate_crash(settings)
    assert simulate_crash(settings) != simulate_crash(replace(settings, seed=2))


def test_the_command_prints_and_judges(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--crash", "2000", "--accept-rate", "400"]) == 0
    text = capsys.readouterr().out
    assert "t99_over_least" in text
    assert text.endswith("Every goal is met.\n")
    assert main(["simulate", "--crash", "2000", "--json", "-"]) == 0
    (figures,) = json.loads(capsys.readouterr().out).values()
    assert set(figures) == set(CrashOutcome.__slots__)


def test_beyond_the_cap_nothing_is_judged(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--crash", "200", "--accept-rate", "10"]) == 0
    assert "Not judged" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options", [["--crash", "0"], ["--crash", "5", "--accept-rate", "0"]], ids=" ".join
)
def test_a_crash_that_cannot_be_is_refused_by_name(options: list[str]) -> None:
    parser = argparse.ArgumentParser()
    COMMAND.add_arguments(parser)
    with pytest.raises(SettingsError, match=options[-2]):
        COMMAND.run(parser.parse_args(options))
