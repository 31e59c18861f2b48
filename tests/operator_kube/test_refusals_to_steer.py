"""Every reason not to steer a stream Service, each with its fix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from operator_kube.kube_world import ADMIT, NAME, World

from tidegate.rollout.snapshot import Policy, Workload
from tidegate_operator.kube.snapshots.build import build

Change = Callable[[World], None]


def seen(world: World, policy: Policy | None = None) -> Workload:
    scopes = build(world.store(), policy or Policy(), world.now_s).scopes
    return next(w for s in scopes for w in s.snapshot.workloads if w.name == NAME)


def spec(**fields: Any) -> Change:
    def change(world: World) -> None:
        world.services[0]["spec"].update(fields)

    return change


def annotated(key: str, value: str) -> Change:
    def change(world: World) -> None:
        world.services[0]["metadata"].setdefault("annotations", {})[key] = value

    return change


def in_match_labels(world: World) -> None:
    world.deployment["spec"]["selector"]["matchLabels"][ADMIT] = "true"


def in_match_expressions(world: World) -> None:
    expression = {"key": ADMIT, "operator": "Exists"}
    world.deployment["spec"]["selector"]["matchExpressions"] = [expression]


def not_in_the_template(world: World) -> None:
    del world.deployment["spec"]["template"]["metadata"]["labels"][ADMIT]
    for pod in world.pods:
        del pod["metadata"]["labels"][ADMIT]


@pytest.mark.parametrize("policy", [Policy(), Policy(steering=False)], ids=["refused", "disabled"])
def test_nobody_but_the_owner_gives_a_pod_the_label(policy: Policy) -> None:
    """What is refused for want of the label must not get it from the operator, and be steered."""
    world = World()
    not_in_the_template(world)
    assert all(p.admitted for p in seen(world, policy).pods), "there is nothing to write"


def test_a_pod_that_was_closed_is_opened_where_nobody_steers_any_more() -> None:
    world = World()
    world.pods[0]["metadata"]["labels"][ADMIT] = "false"
    closed = world.pods[0]["metadata"]["uid"]
    pods = seen(world, Policy(steering=False)).pods
    assert {p.uid for p in pods if not p.admitted} == {closed}


def no_service(world: World) -> None:
    world.services = []


def without_the_label(world: World) -> None:
    del world.services[0]["spec"]["selector"][ADMIT]


def only_the_label(world: World) -> None:
    world.services[0]["spec"]["selector"] = {ADMIT: "true"}


def elsewhere(world: World) -> None:
    world.services[0]["metadata"]["namespace"] = "other"


def a_second_one_is_bad(world: World) -> None:
    second = world.another(world.services[0], name="shop-more")
    second["spec"]["sessionAffinity"] = "ClientIP"
    world.services.append(second)


def pinned(label: str) -> Change:
    """A Service of one revision, as the controllers of blue/green deployments make them."""

    def change(world: World) -> None:
        value = world.pods[0]["metadata"]["labels"].get(label, "7d9c")
        world.services[0]["spec"]["selector"][label] = value

    return change


@pytest.mark.parametrize("is_known", [True, False], ids=["Deployment", "unknown controller"])
@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("pod-template-hash", "its selector has pod-template-hash"),
        ("rollouts-pod-template-hash", "its selector has rollouts-pod-template-hash"),
        ("track", "no stream Service selects these pods"),
    ],
)
def test_a_service_of_some_pods_is_refused_in_whatever_order_the_pods_come(
    label: str, words: str, is_known: bool
) -> None:
    for turn in (1, -1):
        world = World()
        for number, each in enumerate(world.pods):
            each["metadata"]["labels"][label] = f"h{number % 2}"
        world.services[0]["spec"]["selector"][label] = "h0"
        world.pods = world.pods[::turn]
        if not is_known:
            world.deployments = []
        refusal = seen(world).refusal
        assert refusal is not None
        assert words in refusal


PORT = {"name": "sse", "port": 80, "targetPort": "tidegate-sse"}
NLB = "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type"

REFUSED: dict[str, tuple[Change, str]] = {
    "no Service": (no_service, "no stream Service selects these pods"),
    "Service without the label": (without_the_label, "no stream Service"),
    "Service of another namespace": (elsewhere, "no stream Service"),
    "nothing but the label": (only_the_label, "no stream Service"),
    "other ports": (spec(ports=[PORT, {"name": "http", "port": 8080}]), "exactly one port"),
    "the application's port": (spec(ports=[PORT | {"targetPort": "http"}]), "exactly one port"),
    "numeric port": (spec(ports=[PORT | {"targetPort": 9192}]), "exactly one port"),
    "headless": (spec(clusterIP="None"), "headless"),
    "ExternalName": (spec(type="ExternalName"), "ExternalName"),
    "not-ready addresses": (spec(publishNotReadyAddresses=True), "publishNotReadyAddresses"),
    "session affinity": (spec(sessionAffinity="ClientIP"), "sessionAffinity"),
    "external Local": (spec(externalTrafficPolicy="Local"), "externalTrafficPolicy"),
    "internal Local": (spec(internalTrafficPolicy="Local"), "internalTrafficPolicy"),
    "traffic distribution": (spec(trafficDistribution="PreferClose"), "trafficDistribution"),
    "load balancer without node ports": (
        spec(type="LoadBalancer", allocateLoadBalancerNodePorts=False),
        "allocateLoadBalancerNodePorts",
    ),
    "load balancer to pod IPs": (annotated(NLB, "ip"), NLB),
    "network endpoint group": (annotated("cloud.google.com/neg", '{"ingress":true}'), "neg"),
    "topology": (annotated("service.kubernetes.io/topology-mode", "Auto"), "topology-mode"),
    "label in matchLabels": (in_match_labels, "orphaned"),
    "label in matchExpressions": (in_match_expressions, "orphaned"),
    "label not in the template": (not_in_the_template, "pod template lacks"),
    "pinned to a revision": (pinned("pod-template-hash"), "its selector has pod-template-hash"),
    "pinned to a pod": (pinned("statefulset.kubernetes.io/pod-name"), "some of the pods only"),
    "one of two Services": (a_second_one_is_bad, "Service shop-more: sessionAffinity"),
}


@pytest.mark.parametrize(("change", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_with_the_reason(change: Change, text: str) -> None:
    world = World()
    change(world)
    workload = seen(world)
    assert not workload.steerable
    assert workload.refusal is not None
    assert text in workload.refusal


ALLOWED: dict[str, Change] = {
    "as recorded": lambda _: None,
    "node port": spec(type="NodePort"),
    "load balancer to nodes": spec(type="LoadBalancer", allocateLoadBalancerNodePorts=True),
    "instance targets": annotated(NLB, "instance"),
    "cluster policies": spec(externalTrafficPolicy="Cluster", internalTrafficPolicy="Cluster"),
}


@pytest.mark.parametrize("change", ALLOWED.values(), ids=ALLOWED.keys())
def test_steered(change: Change) -> None:
    world = World()
    change(world)
    assert (seen(world).steerable, seen(world).refusal) == (True, None)


def test_other_services_of_the_pods_do_not_matter() -> None:
    world = World()
    other = world.another(world.services[0], name="shop")
    other["spec"] |= {"selector": {"app": "shop"}, "sessionAffinity": "ClientIP"}
    world.services.append(other)
    assert seen(world).steerable


def test_who_asked_for_no_steering_hears_no_refusal() -> None:
    world = World()
    no_service(world)
    assert seen(world, Policy(steering=False)).refusal is None
