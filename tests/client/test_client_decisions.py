"""The decisions of the client: the shared vectors, and what must hold for any input."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from client.connector_scenarios import make, run_step
from hypothesis import given
from hypothesis import strategies as st

from tidegate.contract.errors import SettingsError
from tidegate.wire.decode import Event
from tidegate_client.actions import Moment
from tidegate_client.controls import read_control
from tidegate_client.decisions import Floor, Settings, judge, retry_after_ms, retry_delay_ms
from tidegate_client.inbox import Inbox
from tidegate_client.requester import resume_header

VECTORS = Path(__file__).parents[1] / "vectors" / "client"
SCENARIOS = json.loads((VECTORS / "scenarios.json").read_text())
POSITIONS = json.loads((VECTORS / "positions.json").read_text())
DECISIONS = json.loads((VECTORS / "decisions.json").read_text())
SEEN = ("do", "state", "due", "id_after")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s["name"])
def test_the_connector_follows_the_scenarios(scenario: dict[str, Any]) -> None:
    connector = make(scenario["settings"])
    for number, step in enumerate(scenario["steps"]):
        seen = run_step(connector, step)
        assert seen == {key: step[key] for key in SEEN}, f"step {number}: {step['call']}"


@pytest.mark.parametrize("scenario", POSITIONS, ids=lambda s: s["name"])
def test_what_was_received_handed_over_and_handled(scenario: dict[str, Any]) -> None:
    inbox = Inbox(scenario["start"], again=scenario["again"])
    for number, step in enumerate(scenario["steps"]):
        taken = ""
        match step["call"]:
            case "event":
                inbox.add(Event("message", "x", step["id"]))
            case "position":
                inbox.move(step["id"])
            case "take":
                event = inbox.take()
                taken = event.id if event else ""
            case call:
                {"leave": inbox.leave, "drop": inbox.drop}[call]()
        seen = (taken, inbox.position, inbox.handled, len(inbox))
        expected = (step["do"], step["last_event_id"], step["handled"], step["waiting"])
        assert seen == expected, f"step {number}: {step['call']}"


@pytest.mark.parametrize("vector", DECISIONS["last_event_id_header"], ids=lambda v: repr(v["id"]))
def test_the_ids_that_a_request_can_carry(vector: dict[str, Any]) -> None:
    sent = resume_header(vector["id"] * vector["times"])
    assert sent.decode("latin-1") == vector["expect"] * vector["times"]


def test_a_connection_is_held_until_it_is_let_go() -> None:
    connector = make({})
    assert not connector.holds(1)
    connector.connect(Moment(0, 0))
    assert connector.holds(1)
    connector.close()
    assert not connector.holds(1)


def test_delays() -> None:
    for vector in DECISIONS["retry_delay_ms"]:
        floor = Floor(vector["floor_ms"], vector["assigned"])
        settings = Settings(**vector["settings"])
        delay_ms = retry_delay_ms(vector["attempt"], floor, vector["random"], settings)
        assert delay_ms == vector["expect"], vector


def test_statuses_and_content_types() -> None:
    for vector in DECISIONS["judge"]:
        assert judge(vector["status"], vector["content_type"]) == vector["expect"], vector


def test_retry_after() -> None:
    for vector in DECISIONS["retry_after_ms"]:
        assert retry_after_ms(vector["header"], vector["now_ms"]) == vector["expect"], vector
    assert retry_after_ms("Sun, 99 Nov 1994 08:49:47 GMT", 0) == 0


@given(
    attempt=st.integers(1, 10_000),
    floor_ms=st.floats(0, 300_000),
    assigned=st.booleans(),
    random=st.floats(0, 1, exclude_max=True),
    factor=st.floats(1, 10),
)
def test_a_delay_is_never_below_the_floor_nor_far_above_what_was_asked(
    attempt: int, floor_ms: float, assigned: bool, random: float, factor: float
) -> None:
    settings = Settings(factor=factor)
    delay_ms = retry_delay_ms(attempt, Floor(floor_ms, assigned), random, settings)
    assert delay_ms >= math.floor(floor_ms)
    assert delay_ms <= max(floor_ms, settings.max_delay_ms) * (1 + settings.jitter) + 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("jitter", -0.1), ("factor", 0.5), ("max_attempts", math.nan), ("initial_delay_ms", -1)],
)
def test_a_setting_that_cannot_work_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings(**{name: value})  # type: ignore[arg-type]


def test_deeply_nested_data_is_no_control_event() -> None:
    assert read_control("[" * 100_000, "deadline_ms") is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("max_attempts", "3"), ("max_attempts", True), ("jitter", [])),
        *(("handover", "yes"), ("handover", 1), ("renewable", 1), ("repeat", "never")),
    ],
)
def test_a_setting_of_a_wrong_kind_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings(**{name: value})


def test_a_setting_that_is_none_has_its_default() -> None:
    nothing: dict[str, Any] = dict.fromkeys(Settings.__slots__)
    assert Settings(**nothing) == Settings()
