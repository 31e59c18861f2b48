"""The operator's port on Kubernetes: what it writes, and that the next look shows it."""

from __future__ import annotations

import pytest
from operator_kube.desk import Desk
from operator_kube.kube_world import NAME, World, delete

from tidegate.contract.errors import ClusterError
from tidegate_kubernetes.kinds import PODS
from tidegate_operator.kube.cluster import TIMED_S
from tidegate_operator.kube.events import SERIES_S

EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events"
COST = "controller.kubernetes.io/pod-deletion-cost"


async def test_a_label_and_a_cost_are_written_and_seen_before_the_watch_tells() -> None:
    desk = Desk()
    pod = desk.world.pods[0]
    uid = pod["metadata"]["uid"]
    await desk.cluster.set_admit(uid, False)
    assert not desk.seen(uid).admitted
    await desk.cluster.set_deletion_cost(uid, 42)
    assert desk.seen(uid).deletion_cost == 42
    written = desk.api.objects[desk.path(pod)]["metadata"]
    assert (written["labels"]["tidegate.dev/admit"], written["annotations"][COST]) == (
        "false",
        "42",
    )
    assert written["uid"] == uid, "a successor of the same name must not be taken for it"
    await desk.cluster.set_admit(uid, True)
    assert desk.seen(uid).admitted


async def test_a_pod_that_has_gone_is_an_error_for_this_write_only() -> None:
    desk = Desk()
    uid = desk.world.pods[0]["metadata"]["uid"]
    del desk.api.objects[desk.path(desk.world.pods[0])]
    with pytest.raises(ClusterError, match="404"):
        await desk.cluster.set_admit(uid, False)
    desk.store.drop(PODS, uid)
    with pytest.raises(ClusterError, match="gone"):
        await desk.cluster.set_admit(uid, False)


async def test_only_a_replica_sets_pods_get_a_cost() -> None:
    world = World()
    world.pods[0]["metadata"]["ownerReferences"][0]["kind"] = "StatefulSet"
    desk = Desk(world)
    await desk.cluster.set_deletion_cost(world.pods[0]["metadata"]["uid"], 7)
    assert desk.api.calls == []


async def test_an_event_names_the_workload_and_its_repetition_is_a_series() -> None:
    desk = Desk()
    for _ in range(3):
        await desk.cluster.event(NAME, "SteeringRefused", "x" * 2000, True)
    made = [o for path, o in desk.api.objects.items() if path.startswith(EVENTS)]
    assert len(made) == 1
    regarding = made[0]["regarding"]
    assert (regarding["kind"], regarding["name"]) == ("Deployment", "shop")
    assert regarding["uid"] == desk.world.deployment["metadata"]["uid"]
    assert (made[0]["type"], len(made[0]["note"]), made[0]["series"]["count"]) == (
        "Warning",
        1024,
        3,
    )
    desk.now_s += SERIES_S
    await desk.cluster.event(NAME, "SteeringRefused", "x" * 2000, True)
    assert desk.api.calls[-1] == ("POST", EVENTS)


async def test_an_event_about_a_workload_that_has_gone_is_an_error() -> None:
    with pytest.raises(ClusterError, match="gone"):
        await Desk().cluster.event("default/Deployment/other", "X", "y", False)


def test_the_picture_is_made_anew_when_something_changed_or_a_deadline_runs() -> None:
    desk = Desk()
    first = desk.kubernetes.world
    desk.now_s += 100.0
    assert desk.kubernetes.world is first
    delete(desk.world.pods[0], "2026-11-24T03:00:00Z", 60)
    desk.world.pods[0]["metadata"]["resourceVersion"] = "999999"
    desk.store.put(PODS, desk.world.pods[0])
    running = desk.kubernetes.world
    assert running is not first
    assert desk.kubernetes.world is running
    desk.now_s += TIMED_S
    assert desk.kubernetes.world is not running
