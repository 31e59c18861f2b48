"""When a client acknowledges: the shared scenarios, and what must hold for any sequence."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate_client.ack_pacer import AckPacer
from tidegate_client.actions import Moment
from tidegate_client.decisions import Settings

VECTORS = Path(__file__).parents[1] / "vectors" / "client" / "acknowledgements.json"
SEEN = ("do", "waiting", "sending", "due")


def call(pacer: AckPacer, step: dict[str, Any]) -> str:
    at = Moment(step["at"], step.get("random", 0.5))
    match step["call"]:
        case "acknowledge":
            pacer.acknowledge(step["id"], at)
            return ""
        case "answered":
            return pacer.answered(step["id"], step["status"], step.get("retry_after_ms", 0), at)
        case "tick":
            event_id = pacer.tick(at)
        case _:
            event_id = pacer.flush(at)
    return f"send {event_id}" if event_id else ""


@pytest.mark.parametrize("scenario", json.loads(VECTORS.read_text()), ids=lambda s: s["name"])
def test_the_pacer_follows_the_scenarios(scenario: dict[str, Any]) -> None:
    pacer = AckPacer(scenario["every_ms"], Settings(**scenario["settings"]))
    for number, step in enumerate(scenario["steps"]):
        done = call(pacer, step)
        due = pacer.deadline_ms()
        seen = {
            "do": done,
            "waiting": pacer.waiting,
            "sending": pacer.sending,
            "due": None if due == math.inf else due,
        }
        assert seen == {key: step[key] for key in SEEN}, f"step {number}: {step['call']}"


@given(
    st.lists(
        st.tuples(
            st.integers(1, 4000),
            st.floats(0, 1, exclude_max=True),
            st.sampled_from([None, None, None, 204, 204, 503, 0]),
        ),
        max_size=60,
    )
)
def test_in_order_the_newest_is_kept_at_last_and_never_more_than_one_an_interval(
    steps: list[tuple[int, float, int | None]],
) -> None:
    pacer, now_ms, newest = AckPacer(5000, Settings()), 0.0, 0
    sent: list[tuple[float, int]] = []
    failed = False

    def run(at: Moment) -> None:
        if event_id := pacer.tick(at):
            sent.append((at.now_ms, int(event_id)))

    for pause_ms, random, answer in steps:
        now_ms += pause_ms
        at = Moment(now_ms, random)
        if answer is None:
            newest += 1
            pacer.acknowledge(str(newest), at)
        elif pacer.sending:
            failed = failed or answer != 204
            pacer.answered(pacer.sending, answer, 0, at)
        run(at)
    while pacer.waiting or pacer.sending:
        if pacer.sending:
            pacer.answered(pacer.sending, 204, 0, Moment(now_ms, 0))
        now_ms = max(now_ms, pacer.deadline_ms()) if pacer.waiting else now_ms
        run(Moment(now_ms, 0))
    assert pacer.kept == (str(newest) if newest else "")
    assert [number for _, number in sent] == sorted(number for _, number in sent)
    if not failed:
        gaps = [after[0] - before[0] for before, after in itertools.pairwise(sent)]
        assert all(gap >= 5000 for gap in gaps)
