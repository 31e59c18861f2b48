"""Pods die without a goodbye: their clients are back as fast as the fleet can take them."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

import pytest

from tidegate.contract.errors import SettingsError
from tidegate.stream.queue import MOST_WAIT_S
from tidegate_cli.main import main
from tidegate_lab.simulate.command import COMMAND
from tidegate_lab.simulate.crash_model import (
    ClientKind,
    CrashOutcome,
    CrashSettings,
    simulate_crash,
)

SEEDS = (1, 2)


CRASHES = ((2000, 1000.0), (2000, 400.0), (2000, 200.0), (5000, 100.0))
"""N and C: a fleet that takes them in 2 s, 5 s, 10 s (the most `retry:` is spread over), 50 s."""


@pytest.mark.parametrize(("pods", "dead"), [(10, 1), (9, 3)], ids=["one pod", "a third"])
@pytest.mark.parametrize("clients", ["smart", "native"])
@pytest.mark.parametrize(("streams", "accept_rate_per_s"), CRASHES)
@pytest.mark.parametrize("seed", SEEDS)
def test_everybody_is_back_as_fast_as_the_fleet_can_take_them(
    streams: int, accept_rate_per_s: float, clients: ClientKind, pods: int, dead: int, seed: int
) -> None:
    outcome = simulate_crash(
        CrashSettings(streams, accept_rate_per_s, seed, pods, dead, clients=clients)
    )
    assert outcome.missed() == []
    assert outcome.t99_over_least >= 0.9, "nobody can beat the fleet's own rate"


@pytest.mark.parametrize(
    ("streams", "pods", "dead", "clients"),
    [(30_000, 10, 1, "native"), (30_000, 9, 3, "native"), (6000, 3, 1, "smart")],
)
def test_five_minutes_of_clients_are_back_in_five_minutes(
    streams: int, pods: int, dead: int, clients: ClientKind
) -> None:
    outcome = simulate_crash(CrashSettings(streams, streams / 300, 1, pods, dead, clients=clients))
    assert outcome.missed() == []


def test_more_clients_than_there_are_slots_come_back_all_the_same() -> None:
    settings = CrashSettings(4000, 5.0, pods=2)
    assert settings.least_s > 2 * MOST_WAIT_S
    outcome = simulate_crash(settings)
    assert outcome.never_back == 0
    assert outcome.t99_over_least <= 1.3


@pytest.mark.parametrize("clients", ["smart", "native"])
def test_without_an_assigned_spread_the_wave_comes_back_in_slots(clients: ClientKind) -> None:
    outcome = simulate_crash(CrashSettings(5000, 100.0, assigned=False, clients=clients))
    assert outcome.missed() == []
    assert outcome.peak_attempts_1s > 2000, "a wave"


def test_streams_that_are_never_told_anew_crowd_the_start() -> None:
    settings = CrashSettings(2000, 200.0)
    crowded, even = simulate_crash(replace(settings, retold=False)), simulate_crash(settings)
    assert crowded.peak_attempts_1s > 2 * even.peak_attempts_1s
    assert crowded.attempts_mean > 1.1 * even.attempts_mean


def test_the_fleet_takes_no_more_than_its_rate() -> None:
    outcome = simulate_crash(CrashSettings(5000, 100.0, pods=2))
    assert outcome.peak_accepted_1s <= 1.1 * 100.0 + 1


def test_the_spread_has_a_price_for_a_client_that_is_alone() -> None:
    outcome = simulate_crash(CrashSettings(2000, 1000.0))
    assert outcome.blip_p50_s == pytest.approx(1.0 + outcome.least_s / 2, abs=0.1)
    assert outcome.blip_p99_s == pytest.approx(1.0 + outcome.least_s, abs=0.1)


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


def test_a_missed_goal_is_never_excused(capsys: pytest.CaptureFixture[str]) -> None:
    # 20 streams for 9 pods that take one in 9 s each: which pod a client comes to is chance.
    assert main(["simulate", "--crash", "20", "--accept-rate", "1"]) == 1
    assert "Goal missed: t99_over_least <= 1.15" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options",
    [
        ["--crash", "0"],
        ["--crash", "5", "--accept-rate", "0"],
        ["--crash", "5", "--crash-pods", "0"],
        ["--crash", "5", "--pods", "3", "--crash-pods", "3"],
    ],
    ids=" ".join,
)
def test_a_crash_that_cannot_be_is_refused_by_name(options: list[str]) -> None:
    parser = argparse.ArgumentParser()
    COMMAND.add_arguments(parser)
    with pytest.raises(SettingsError, match=options[-2]):
        COMMAND.run(parser.parse_args(options))
