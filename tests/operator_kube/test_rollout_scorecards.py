"""What the operator can tell of a rollout from reports alone, and how it says so."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from operator_kube.desk import Desk
from operator_kube.kube_world import fixture, reported

from tidegate.rollout.advice import Advice
from tidegate.rollout.snapshot import Pod, Workload
from tidegate_kubernetes.readers import read_policy
from tidegate_operator.kube.status.document import WorkloadReport, condition, matters, status_of
from tidegate_operator.kube.status.rollouts import (
    CAME_OR_WENT,
    NOT_REPORTED,
    NOT_WHOLE,
    RESTARTED,
    UNSETTLED,
    Watched,
    observe,
)
from tidegate_operator.kube.status.writer import StatusWriter
from tidegate_operator.meters import Meters
from tidegate_operator.reports import ReportBook

CRD = Path(__file__).parents[2] / "charts" / "tidegate" / "files" / "drainpolicies.yaml"
NOW = "2026-11-24T00:00:00Z"


def pod(uid: str, revision: str, streams: int, arrived: int, **more: object) -> Pod:
    """A pod whose report was made just now."""
    return replace(
        Pod(uid, uid, revision, ready=True, report=reported(uid, streams, arrived)),
        **more,  # type: ignore[arg-type]
    )


def fleet(revision: str, *pods: Pod, replicas: int = 2) -> Workload:
    return Workload("default/Deployment/shop", replicas, revision, pods)


def watched(*looks: tuple[float, Workload]) -> Watched:
    state = Watched()
    for now_s, workload in looks:
        state = observe(state, workload, now_s)
    return state


def ended(state: Watched, workload: Workload, from_s: float) -> Watched:
    """Ten more quiet seconds."""
    for second in range(1, 11):
        state = observe(state, workload, from_s + second)
    return state


REST = fleet("a", pod("a1", "a", 100, 100), pod("a2", "a", 100, 100))
BEGUN = fleet("b", *REST.pods)
MIDDLE = fleet(
    "b",
    pod("a1", "a", 0, 100, deleting=True),
    pod("a2", "a", 100, 100),
    pod("b1", "b", 100, 100),
)
END = fleet("b", pod("b1", "b", 90, 100), pod("b2", "b", 110, 110))
SMOOTH = ((0.0, REST), (1.0, BEGUN), (1.5, BEGUN), (3.0, MIDDLE), (10.0, END))


def test_a_finished_rollout_has_its_figures() -> None:
    seen = ended(watched(*SMOOTH), END, 10.0)
    card = seen.last
    assert card is not None
    assert (card.rollout_s, card.moves_per_client) == (9.0, 210 / 200)
    assert (card.balance_max_over_mean, card.balance_min_over_mean) == (1.1, 0.9)
    assert card.transient_max_over_mean == 1.1
    assert (seen.last_revision, seen.not_measured) == ("b", None)
    assert card.lost is None, "what a ledger would have to tell is not made up"
    assert card.peak_moves_1s is None, "reports are a quarter of a second apart"


def test_clients_that_came_just_before_it_are_no_moves() -> None:
    """At rest a pod reports every 15 s: 13.99 moves were shown where 1.008 was true."""
    stale = fleet("a", pod("a1", "a", 7, 7), pod("a2", "a", 7, 7))
    seen = ended(watched((0.0, stale), *((t + 1, w) for t, w in SMOOTH[1:])), END, 11.0)
    assert seen.last is not None
    assert seen.last.moves_per_client == 210 / 200
    assert seen.not_measured is None


def test_clients_that_come_and_go_just_before_it_leave_no_figure() -> None:
    """Which of these ends and returns are moves of the rollout cannot be known."""
    fresh = fleet("b", pod("a1", "a", 100, 150), pod("a2", "a", 100, 150))
    middle = fleet("b", pod("a2", "a", 100, 150), pod("b1", "b", 100, 100))
    looks = [(0.0, REST), (1.0, BEGUN), (1.5, fresh), (3.0, middle), (10.0, END)]
    seen = ended(watched(*looks), END, 10.0)
    assert seen.last is not None
    assert seen.last.moves_per_client is None
    assert seen.last.balance_max_over_mean == 1.1
    assert seen.not_measured == UNSETTLED


def test_clients_that_come_in_the_middle_leave_no_figure() -> None:
    more = fleet("b", pod("b1", "b", 150, 160), pod("b2", "b", 150, 150))
    seen = ended(watched(*SMOOTH[:-1], (10.0, more)), more, 10.0)
    assert seen.last is not None
    assert (seen.last.moves_per_client, seen.not_measured) == (None, CAME_OR_WENT)


def test_streams_that_a_pod_still_had_when_it_vanished_have_ended() -> None:
    killed = fleet("b", pod("a2", "a", 100, 100), pod("b1", "b", 100, 100))
    seen = ended(watched(*SMOOTH[:3], (4.0, killed), (10.0, END)), END, 10.0)
    assert seen.last is not None
    assert seen.last.moves_per_client == 210 / 200


def test_a_restarted_sidecar_leaves_no_figure() -> None:
    again = fleet("b", pod("a2", "a", 20, 20), pod("b1", "b", 100, 100))
    seen = ended(watched(*SMOOTH[:3], (4.0, again), (10.0, END)), END, 10.0)
    assert (seen.last is None, seen.not_measured) == (False, RESTARTED)


def test_it_is_not_finished_while_clients_still_move() -> None:
    later = fleet("b", pod("b1", "b", 100, 110), pod("b2", "b", 100, 110))
    seen = watched(*SMOOTH, (17.0, later), (19.0, later))
    assert seen.running is not None
    assert observe(seen, later, 26.0).last is not None


def test_it_is_not_finished_before_the_last_new_pod_serves() -> None:
    """A StatefulSet's: evening it out comes then, 1.34 moves were shown where 1.663 was true."""
    waiting = fleet("b", pod("b1", "b", 200, 210), Pod("b2", "b2", "b", ready=False))
    evened = fleet("b", pod("b1", "b", 100, 210), pod("b2", "b", 100, 100))
    seen = ended(watched(*SMOOTH[:4], (10.0, waiting)), waiting, 10.0)
    assert seen.running is not None
    seen = ended(observe(seen, evened, 22.0), evened, 22.0)
    assert seen.last is not None
    assert seen.last.moves_per_client == 310 / 200


def test_a_rollout_that_was_not_seen_from_the_start_says_so() -> None:
    """After a take-over; the balance is there to be seen all the same."""
    seen = ended(watched((1.0, MIDDLE), (10.0, END)), END, 10.0)
    assert seen.running is None
    assert seen.last is not None
    assert (seen.last.moves_per_client, seen.not_measured) == (None, NOT_WHOLE)
    assert seen.last.balance_max_over_mean == 1.1


def test_a_pod_that_never_reported_leaves_no_figure() -> None:
    silent = fleet("a", REST.pods[0], Pod("a2", "a2", "a", ready=True))
    seen = ended(watched((0.0, silent), *SMOOTH[1:]), END, 10.0)
    assert seen.last is not None
    assert (seen.last.moves_per_client, seen.not_measured) == (None, NOT_REPORTED)


def test_a_scale_in_of_the_same_revision_is_no_rollout() -> None:
    going = fleet("a", pod("a1", "a", 100, 100), pod("a2", "a", 50, 100, deleting=True))
    assert watched((0.0, REST), (1.0, going)).running is None


def reports(*workloads: Workload) -> list[WorkloadReport]:
    return [WorkloadReport(w, observe(Watched(), w, 0.0)) for w in workloads]


def status(
    *workloads: Workload,
    invalid: str | None = None,
    steering: bool = True,
    bare: dict[str, str] | None = None,
) -> dict[str, Any]:
    policy = read_policy(fixture("drainpolicy"))
    return status_of(
        policy, reports(*workloads), invalid=invalid, bare=bare or {}, steering=steering, now=NOW
    )


def conditions(found: dict) -> dict[str, tuple[str, str]]:  # type: ignore[type-arg]
    return {c["type"]: (c["status"], c["reason"]) for c in found["conditions"]}


def test_the_status_of_a_policy() -> None:
    found = status(REST)
    assert conditions(found) == {
        "Ready": ("True", "Serving"),
        "Steered": ("True", "Steering"),
        "WellConfigured": ("True", "NoAdvice"),
    }
    assert (found["streams"], found["workloadCount"], found["drainingPods"]) == (200, 1, 0)
    assert found["workloads"][0]["name"] == "Deployment/shop"
    assert found["workloads"][0]["openPods"] == 2


def test_what_keeps_a_policy_from_working_is_in_its_conditions() -> None:
    refused = replace(REST, steerable=False, refusal="Service x: sessionAffinity")
    assert conditions(status(refused))["Steered"] == ("False", "Refused")
    assert "sessionAffinity" in status(refused)["conditions"][1]["message"]
    assert conditions(status(REST, steering=False))["Steered"] == ("False", "Disabled")
    assert conditions(status(REST, invalid="bad"))["Ready"] == ("False", "Invalid")
    assert conditions(status())["Steered"] == ("Unknown", "NoWorkload")


def test_advice_is_in_its_condition_and_beside_its_workload() -> None:
    told = replace(reports(REST)[0], advice=(Advice("NoSurge", "set it"),))
    found = status_of(
        read_policy(fixture("drainpolicy")), [told], invalid=None,
        bare={"default/Deployment/x": "no sidecar"}, steering=True, now=NOW,
    )  # fmt: skip
    assert conditions(found)["WellConfigured"] == ("False", "Advice")
    message = found["conditions"][2]["message"]
    assert message == "Deployment/shop: set it; Deployment/x: no sidecar"
    assert found["workloads"][0]["advice"] == ["set it"]
    assert_kept(found)


def test_nothing_that_is_written_would_be_pruned() -> None:
    finished = replace(ended(watched(*SMOOTH), END, 10.0), not_measured="why")
    refused = replace(
        END, refusal="why", steerable=False, revision="+".join("r" * 10 for _ in "abcdefgh")
    )
    told = WorkloadReport(refused, finished, NOW, (Advice("NoSurge", "set it"),))
    found = status_of(
        read_policy(fixture("drainpolicy")), [told], invalid="bad", bare={}, steering=True, now=NOW
    )
    assert found["workloads"][0].keys() >= {"refusal", "advice", "lastRollout"}
    assert_kept(found)


def assert_kept(status: dict[str, Any]) -> None:
    """The CRD knows every field: the API server drops what it does not know without a word."""
    (version,) = yaml.safe_load(CRD.read_text())["spec"]["versions"]
    schema = closed(version["schema"]["openAPIV3Schema"]["properties"]["status"])
    Draft202012Validator(schema).validate(status)


def closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        found["additionalProperties"] = False
    return found


def test_a_transition_time_changes_with_the_status_only() -> None:
    raw = fixture("drainpolicy")
    before = {"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}
    raw["status"] = {"conditions": [before]}
    policy = read_policy(raw)
    kept = condition(policy, "Ready", "True", "Serving", "other words", NOW)
    assert kept["lastTransitionTime"] == "2020-01-01T00:00:00Z"
    assert condition(policy, "Ready", "False", "Invalid", "", NOW)["lastTransitionTime"] == NOW


def test_counts_alone_are_not_worth_a_write() -> None:
    busier = fleet("a", pod("a1", "a", 300, 300), pod("a2", "a", 100, 100))
    assert matters(status(REST)) == matters(status(busier))
    assert matters(status(REST)) != matters(status(REST, invalid="bad"))
    drains = fleet("a", pod("a1", "a", 100, 100), pod("a2", "a", 100, 100, deleting=True))
    assert matters(status(REST)) != matters(status(drains))


@pytest.mark.virtual_time
async def test_a_change_in_the_cluster_is_looked_at_at_once() -> None:
    """What moves before the first look is not counted; a set without surge begins at once."""
    looks_s: list[float] = []
    clock = asyncio.get_running_loop().time

    class Looking(StatusWriter):
        def observe(self) -> bool:
            looks_s.append(clock())
            return False

    desk = Desk()
    book = ReportBook(clock)
    writer = Looking(desk.api, desk.kubernetes, book, clock, clock, meters=Meters())
    running = asyncio.create_task(writer.run())
    await asyncio.sleep(1.0)
    assert len(looks_s) == 1
    writer.nudge()
    await asyncio.sleep(0.01)
    assert len(looks_s) == 2
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
