"""The operator's scorecard, from reports alone, beside the one that the clients' streams give."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidegate.score.observe import score
from tidegate.score.scorecard import Scorecard
from tidegate_lab.simulate.run import Rollout
from tidegate_lab.simulate.settings import Settings
from tidegate_operator.kube.status.rollouts import TOLERANCE, Watched, observe
from tidegate_operator.kube.status.writer import ROLLING_LOOK_S

FLEET = Settings(pods=5, clients=500, budget_per_s=50, ready_delay_s=3, min_ready_s=5, grace_s=60)
STATEFUL = replace(FLEET, pods=3, clients=300, max_surge=0, max_unavailable=1)


def both(settings: Settings) -> tuple[Scorecard, Scorecard, str | None]:
    """The clients' scorecard, the operator's, and its reason where a figure is missing."""
    rollout, seen = Rollout(settings), Watched()
    timeline = rollout.timeline

    def look() -> None:
        nonlocal seen
        if seen.last is None:
            seen = observe(seen, rollout.fleet._workload(), timeline.now_s)
            timeline.after(ROLLING_LOOK_S, look)

    timeline.at(ROLLING_LOOK_S, look)
    true = score(rollout.run())
    timeline.run(lambda: seen.last is not None, timeline.now_s + 60.0)
    assert seen.last is not None
    return true, seen.last, seen.not_measured


@pytest.mark.parametrize(
    "settings",
    [
        FLEET,
        STATEFUL,
        replace(FLEET, max_surge=0, max_unavailable=1, skew=0.4),
        replace(FLEET, away_from_s=15.0, away_s=12.0),
    ],
    ids=["surge", "a set without surge", "many second moves", "no plans for 12 s"],
)
def test_they_agree_in_every_figure_that_is_measured(settings: Settings) -> None:
    true, shown, reason = both(settings)
    assert reason is None
    for key in (
        "moves_per_client",
        "balance_max_over_mean",
        "balance_min_over_mean",
        "transient_max_over_mean",
        "rollout_s",
    ):
        assert shown.figure(key) == pytest.approx(true.figure(key), rel=TOLERANCE), key
