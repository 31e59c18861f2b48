"""An object that cannot be what it claims hurts itself: the other workloads' scopes stay equal."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from kit.documents import spoilt
from operator_kube.kube_world import World, fixture

from tidegate.rollout.snapshot import Policy
from tidegate_kubernetes.kinds import DEPLOYMENTS, PODS, POLICIES, SERVICES, Kind
from tidegate_operator.kube.snapshots.build import build
from tidegate_operator.kube.status.document import status_of
from tidegate_operator.kube.watched.store import Store

Raw = dict[str, Any]


def of_another_tenant(raw: Raw) -> Raw:
    """The object as it would be in another namespace."""
    raw = copy.deepcopy(raw)
    raw["metadata"] |= {"namespace": "hostile", "uid": f"hostile-{raw['metadata']['uid']}"}
    return raw


WORLD = World()
POD = of_another_tenant(WORLD.pods[0])
DEPLOYMENT = of_another_tenant(WORLD.deployment)
SERVICE = of_another_tenant(WORLD.services[0])
POLICY = of_another_tenant(fixture("drainpolicy"))
HONEST = build(WORLD.store(), Policy(), WORLD.now_s).scopes


def scopes_beside(kind: Kind, raw: Raw) -> tuple[Any, Store]:
    store = WORLD.store()
    for other, honest in ((PODS, POD), (DEPLOYMENTS, DEPLOYMENT), (SERVICES, SERVICE)):
        if other is not kind:
            store.put(other, honest)
    store.put(kind, raw)
    world = build(store, Policy(), WORLD.now_s)
    return world, store


@pytest.mark.parametrize("kind", [PODS, DEPLOYMENTS, SERVICES, POLICIES], ids=lambda k: k.plural)
def test_what_cannot_be_read_is_not_taken_for_a_dead_watch(kind: Kind) -> None:
    store = Store()
    store.put(kind, {"metadata": {"uid": "u", "resourceVersion": "7", "name": 5}})
    assert store.malformed == 1
    assert not store.compare(kind, {"u": "7"}, "7").behind
    assert store.compare(kind, {"u": "8"}, "8").behind


def _others(world: Any) -> tuple[Any, ...]:
    return tuple(s for s in world.scopes if "hostile" not in s.name)


def _check(kind: Kind, raw: Raw) -> None:
    metadata = raw.get("metadata")
    if isinstance(metadata, dict):
        metadata |= {"namespace": "hostile"}  # which the API server decides
    world, _ = scopes_beside(kind, raw)
    assert _others(world) == HONEST


@pytest.mark.parametrize("field", ["kind", "name", "uid"])
def test_a_pod_whose_owner_cannot_be_one(field: str) -> None:
    raw = copy.deepcopy(POD)
    raw["metadata"]["ownerReferences"][0][field] = ["x"]
    _check(PODS, raw)


@given(spoilt(POD))
def test_a_hostile_pod(raw: Raw) -> None:
    _check(PODS, raw)


@given(spoilt(DEPLOYMENT))
def test_a_hostile_deployment(raw: Raw) -> None:
    _check(DEPLOYMENTS, raw)


@given(spoilt(SERVICE))
def test_a_hostile_service(raw: Raw) -> None:
    _check(SERVICES, raw)


@given(spoilt(POLICY))
def test_a_hostile_policy(raw: Raw) -> None:
    _check(POLICIES, raw)
    store = Store()
    store.put(POLICIES, raw)
    for policy in store.policies:
        status_of(policy, [], invalid=None, bare={}, steering=True, now="now")
