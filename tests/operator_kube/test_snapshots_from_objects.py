"""The planner's picture, made of objects as a real API server returns them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from operator_kube.kube_world import ADMIT, NAME, NEW, OLD, World, delete, fixture

from tidegate.contract.sidecar import env
from tidegate.rollout.snapshot import Policy, Workload
from tidegate_kubernetes.kinds import DEPLOYMENTS, PODS, REPLICA_SETS
from tidegate_kubernetes.objects import WorkloadObject
from tidegate_kubernetes.readers import read_daemon_set, read_deployment, read_stateful_set
from tidegate_kubernetes.values import timestamp_s
from tidegate_operator.kube.snapshots.build import build

DEFAULT = Policy()


def workload(world: World, now_s: float | None = None) -> Workload:
    scopes = build(world.store(), DEFAULT, now_s or world.now_s).scopes
    return next(w for s in scopes for w in s.snapshot.workloads if w.name == NAME)


def test_a_rollout_in_the_middle() -> None:
    seen = workload(World())
    assert (seen.replicas, seen.max_surge, seen.max_unavailable) == (3, 1, 0)
    assert seen.revision == NEW
    assert sorted((p.revision, p.ready) for p in seen.pods) == [
        (OLD, True),
        (OLD, True),
        (NEW, False),
        (NEW, True),
    ]
    assert all(p.admitted and not p.deleting for p in seen.pods)
    assert seen.steerable


def test_a_template_that_asks_for_a_sidecar_or_brings_one_is_injected() -> None:
    def injected(labels: dict[str, str], annotations: dict[str, str]) -> bool:
        world = World()
        template = {"labels": {"app": "shop", ADMIT: "true", **labels}, "annotations": annotations}
        world.deployment["spec"]["template"]["metadata"] = template
        return workload(world).injected

    assert injected({}, {"tidegate.dev/inject": "true"})
    assert injected({"tidegate.dev/injected": "true"}, {})
    assert not injected({}, {"tidegate.dev/inject": "false"})
    assert not injected({}, {})


def test_available_only_after_min_ready_seconds() -> None:
    world = World()
    ready = next(
        p
        for p in world.pods
        if p["metadata"]["labels"]["pod-template-hash"] == NEW and p["status"].get("podIP")
    )
    since_s = timestamp_s(ready["status"]["conditions"][0]["lastTransitionTime"])
    assert since_s is not None
    uid = ready["metadata"]["uid"]

    def available(after_s: float) -> bool:
        pods = {p.uid: p for p in workload(world, since_s + after_s).pods}
        return pods[uid].available

    assert [available(4.0), available(5.0)] == [False, True]


def test_after_an_undo_the_highest_revision_is_the_desired_one_not_the_youngest_pods() -> None:
    world = World()
    for raw in world.replica_sets:
        if raw["metadata"]["labels"]["pod-template-hash"] == OLD:
            raw["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "3"
    assert workload(world).revision == OLD


def test_a_deleted_pod_counts_down_to_its_kill_and_is_never_ready() -> None:
    world = World()
    raw = world.pod(OLD)
    delete(raw, "2026-11-24T01:00:00Z", 60)
    kill_s = timestamp_s("2026-11-24T01:00:00Z")
    assert kill_s is not None
    pod = next(p for p in workload(world, kill_s - 45).pods if p.deleting)
    assert (pod.ready, pod.available, pod.deadline_in_s) == (False, False, 45.0)


@pytest.mark.parametrize(
    ("spec", "deadline_s"),
    [
        ({}, 45.0),
        ({"windowSeconds": 20}, 5.0),
        ({"reserveSeconds": 10}, 35.0),
        ({"reserveSeconds": 3600}, 15.0),
    ],
    ids=["none", "window", "reserve", "a reserve takes half the grace at most"],
)
def test_a_policy_puts_the_deadline_before_the_kill(
    spec: dict[str, Any], deadline_s: float
) -> None:
    world = World()
    delete(world.pod(OLD), "2026-11-24T01:00:00Z", 60)
    world.policies = [fixture("drainpolicy")]
    world.policies[0]["spec"] |= spec
    kill_s = timestamp_s("2026-11-24T01:00:00Z")
    assert kill_s is not None
    pod = next(p for p in workload(world, kill_s - 45).pods if p.deleting)
    assert pod.deadline_in_s == deadline_s


def test_a_policy_binds_its_workloads_and_others_get_the_default_alone() -> None:
    world = World()
    world.policies = [fixture("drainpolicy")]
    world.stateful_sets = [fixture("statefulset")]
    pod = world.another(world.pod(OLD), name="feed-0")
    owner = {"kind": "StatefulSet", "name": "feed", "uid": "x", "controller": True}
    pod["metadata"]["ownerReferences"] = [owner]
    pod["metadata"]["labels"] = {"app": "feed", "controller-revision-hash": "feed-abc"}
    world.pods.append(pod)
    scopes = {s.name: s for s in build(world.store(), DEFAULT, world.now_s).scopes}
    assert sorted(scopes) == ["default/default/StatefulSet/feed", "policy/default/shop"]
    assert scopes["policy/default/shop"].policy.budget_per_s == 40
    feed = scopes["default/default/StatefulSet/feed"].snapshot.workloads[0]
    desired = fixture("statefulset")["status"]["updateRevision"]
    assert (feed.replicas, feed.max_surge, feed.revision) == (2, 0, desired)
    assert feed.pods[0].revision == "feed-abc"
    assert feed.refusal is not None


def test_pods_find_their_deployment_after_their_replica_set_has_gone() -> None:
    world = World()
    world.replica_sets = [
        r for r in world.replica_sets if r["metadata"]["labels"]["pod-template-hash"] == NEW
    ]
    assert len(workload(world).pods) == 4


def test_finished_pods_and_pods_without_a_controller_are_left_out() -> None:
    world = World()
    world.pod(OLD, 0)["status"]["phase"] = "Failed"
    world.pod(OLD, 1)["metadata"]["ownerReferences"] = []
    assert {p.revision for p in workload(world).pods} == {NEW}


def test_an_argo_rollout_is_read_through_its_replica_sets() -> None:
    world = World()
    for raw in world.replica_sets:
        raw["metadata"]["ownerReferences"][0] |= {"kind": "Rollout", "uid": "r"}
        annotations = raw["metadata"]["annotations"]
        annotations["rollout.argoproj.io/revision"] = annotations.pop(
            "deployment.kubernetes.io/revision"
        )
    seen = build(world.store(), DEFAULT, world.now_s).scopes[0].snapshot.workloads[0]
    assert (seen.name, seen.revision, seen.replicas) == ("default/Rollout/shop", NEW, 4)


def test_an_invalid_policy_is_named_and_the_default_is_used() -> None:
    world = World()
    world.policies = [fixture("drainpolicy")]
    world.policies[0]["spec"]["budgetPerSecond"] = 0
    seen = build(world.store(), DEFAULT, world.now_s)
    assert "spec.budgetPerSecond" in seen.invalid["policy/default/shop"]
    assert seen.scopes[0].policy == DEFAULT


def test_the_label_decides_which_pod_is_admitted() -> None:
    world = World()
    for value, pod in zip(["false", None], world.pods, strict=False):
        pod["metadata"]["labels"][ADMIT] = value
        if value is None:
            del pod["metadata"]["labels"][ADMIT]
    assert sorted(p.admitted for p in workload(world).pods) == [False, False, True, True]


def test_an_older_object_never_replaces_a_newer_one() -> None:
    world, store = World(), World().store()
    pod = world.another(world.pods[0])
    pod["metadata"] |= {"uid": world.pods[0]["metadata"]["uid"], "resourceVersion": "1"}
    pod["metadata"]["labels"][ADMIT] = "false"
    before = store.generation
    store.put(PODS, pod)
    assert store.generation == before
    pod["metadata"]["resourceVersion"] = "999999"
    store.put(PODS, pod)
    assert store.generation == before + 1


def test_the_answer_of_a_patch_does_not_bring_a_deleted_pod_back() -> None:
    world, store = World(), World().store()
    uid = world.pods[0]["metadata"]["uid"]
    store.drop(PODS, uid)
    store.refresh(PODS, world.pods[0])
    assert store.pod(uid) is None


def test_a_listing_shows_ghosts_and_what_the_watch_has_not_delivered() -> None:
    world, store = World(), World().store()
    versions = {p["metadata"]["uid"]: p["metadata"]["resourceVersion"] for p in world.pods}
    assert store.compare(PODS, versions, "999999") == store.compare(PODS, versions, "")
    gone, *rest = versions
    listed = {uid: versions[uid] for uid in rest} | {"unseen": "5", rest[0]: "999998"}
    lag = store.compare(PODS, listed, "999999")
    assert lag.ghosts == {gone}
    assert lag.behind == {("unseen", "5"), (rest[0], "999998")}
    young = store.compare(PODS, {uid: versions[uid] for uid in rest}, "1")
    assert not young.ghosts, "an object younger than the listing is no ghost"


def test_a_status_update_of_nothing_we_read_changes_nothing() -> None:
    world, store = World(), World().store()
    before = store.generation
    world.deployment["metadata"]["resourceVersion"] = "999999"
    world.deployment["status"]["observedGeneration"] = 77
    store.put(DEPLOYMENTS, world.deployment)
    assert store.generation == before


def test_a_malformed_object_is_counted_and_left_out() -> None:
    store = World().store()
    store.put(REPLICA_SETS, {"kind": "ReplicaSet", "metadata": {"name": "x"}})
    assert store.malformed == 1


def with_canary(log: str) -> World:
    """A second workload behind the same Service; the logs stand in the sidecars' environment."""
    world = World()
    for pod in world.pods:
        given = {"name": env("backplane_stream"), "value": "shop"}
        pod["spec"]["initContainers"][0]["env"] = [given]
    pod = world.another(world.pod(OLD), name="canary-0")
    owner = {"kind": "StatefulSet", "name": "canary", "uid": "x", "controller": True}
    pod["metadata"]["ownerReferences"] = [owner]
    pod["spec"]["initContainers"][0]["env"][0]["value"] = log
    world.pods.append(pod)
    return world


def test_workloads_behind_one_stream_service_share_it_and_a_budget() -> None:
    world = with_canary("shop")
    scopes = build(world.store(), DEFAULT, world.now_s).scopes
    assert [s.name for s in scopes] == ["default/default/shop-sse"]
    found = scopes[0].snapshot.workloads
    assert {w.name for w in found} == {NAME, "default/StatefulSet/canary"}
    assert {w.stream_service for w in found} == {"default/shop-sse"}
    assert all(w.steerable for w in found)


def test_a_canary_with_a_log_of_its_own_is_not_steered() -> None:
    """Nobody may be moved to where the stable pods' events do not come."""
    world = with_canary("canary")
    scopes = build(world.store(), DEFAULT, world.now_s).scopes
    found = {w.name: w for w in scopes[0].snapshot.workloads}
    assert found[NAME].steerable
    refusal = found["default/StatefulSet/canary"].refusal or ""
    assert not found["default/StatefulSet/canary"].steerable
    assert "tidegate.dev/backplane-stream: shop" in refusal


def test_a_paused_deployment_is_known_as_one() -> None:
    world = World()
    assert not workload(world).paused
    world.deployment["spec"]["paused"] = True
    assert workload(world).paused


@pytest.mark.parametrize(
    ("read", "spec", "in_place"),
    [
        (read_deployment, {}, False),
        (read_deployment, {"strategy": {"rollingUpdate": {"maxSurge": 0}}}, False),
        (read_deployment, {"strategy": {"type": "Recreate"}}, True),
        (read_stateful_set, {"updateStrategy": {"rollingUpdate": {"partition": 2}}}, True),
        (read_daemon_set, {}, True),
        (read_daemon_set, {"updateStrategy": {"rollingUpdate": {"maxSurge": 1}}}, False),
    ],
)
def test_where_a_successor_comes_only_after_the_pod(
    read: Callable[[dict[str, Any]], WorkloadObject], spec: dict[str, Any], in_place: bool
) -> None:
    status = {"desiredNumberScheduled": 3}
    known = read({"metadata": {"name": "feed", "uid": "x"}, "spec": spec, "status": status})
    assert known.in_place == in_place


def test_what_its_controller_does_reaches_the_planner() -> None:
    world = World()
    world.deployment["spec"]["strategy"] = {"type": "Recreate"}
    assert workload(world).in_place
    assert not workload(World()).in_place
