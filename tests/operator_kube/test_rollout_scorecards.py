"""What the operator can tell of a rollout from reports alone, and how it says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from operator_kube.kube_world import fixture, reported

from tidegate.rollout.advice import Advice
from tidegate.rollout.snapshot import Pod, Workload
from tidegate_kubernetes.readers import read_policy
from tidegate_operator.kube.status.rollouts import Watched, observe
from tidegate_operator.kube.status.writer import WorkloadReport, condition, matters, status_of

CRD = Path(__file__).parents[2] / "charts" / "tidegate" / "files" / "drainpolicies.yaml"
NOW = "2026-11-24T00:00:00Z"


def pod(uid: str, revision: str, streams: int, arrived: int, **more: object) -> Pod:
    return replace(
        Pod(uid, uid, revision, ready=True, report=reported(uid, streams, arrived)),
        **more,  # type: ignore[arg-type]
    )


def fleet(revision: str, *pods: Pod) -> Workload:
    return Workload("default/Deployment/shop", 2, revision, pods)


def watched(*looks: tuple[float, Workload]) -> Watched:
    state = Watched()
    for now_s, workload in looks:
        state = observe(state, workload, 40.0, now_s)
    return state


REST = fleet("a", pod("a1", "a", 100, 100), pod("a2", "a", 100, 100))
MIDDLE = fleet(
    "b",
    pod("a1", "a", 0, 100, deleting=True),
    pod("a2", "a", 100, 100),
    pod("b1", "b", 100, 100),
)
END = fleet("b", pod("b1", "b", 90, 100), pod("b2", "b", 110, 110))


def test_a_finished_rollout_has_its_figures() -> None:
    looks = [(0.0, REST), (1.0, MIDDLE), (10.0, END)]
    looks += [(10.0 + i, END) for i in range(1, 9)]
    seen = watched(*looks)
    card = seen.last
    assert card is not None
    assert (card.rollout_s, card.moves_per_client) == (9.0, 210 / 200)
    assert (card.balance_max_over_mean, card.balance_min_over_mean) == (1.1, 0.9)
    assert card.transient_max_over_mean == 1.1
    assert seen.last_revision == "b"
    assert card.lost is None, "what a ledger would have to tell is not made up"


def test_it_is_not_finished_while_clients_still_move() -> None:
    later = fleet("b", pod("b1", "b", 100, 110), pod("b2", "b", 100, 110))
    seen = watched((0.0, REST), (1.0, MIDDLE), (10.0, END), (17.0, later), (19.0, later))
    assert seen.running is not None
    assert observe(seen, later, 40.0, 25.0).last is not None


def test_a_rollout_that_was_not_seen_from_the_start_has_no_figures() -> None:
    seen = watched((1.0, MIDDLE), (10.0, END), (19.0, END))
    assert (seen.running, seen.last) == (None, None)


def test_the_peak_is_within_a_second() -> None:
    looks = [(0.0, REST)]
    for tenth in range(30):
        arrived = 4 * tenth
        looks.append((1.0 + tenth / 10, fleet("b", *REST.pods, pod("b1", "b", arrived, arrived))))
    running = watched(*looks).running
    assert running is not None
    assert 40 <= running.peak <= 44


def test_a_scale_in_of_the_same_revision_is_no_rollout() -> None:
    going = fleet("a", pod("a1", "a", 100, 100), pod("a2", "a", 50, 100, deleting=True))
    assert watched((0.0, REST), (1.0, going)).running is None


def reports(*workloads: Workload) -> list[WorkloadReport]:
    return [WorkloadReport(w, observe(Watched(), w, 40.0, 0.0)) for w in workloads]


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
    finished = watched((0.0, REST), (1.0, MIDDLE), (10.0, END), (19.0, END))
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
