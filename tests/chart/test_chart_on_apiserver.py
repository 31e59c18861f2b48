"""The chart and the injected pods against a real API server.

Runs where ``TIDEGATE_TEST_KUBECONFIG`` names a kubeconfig of a cluster administrator. What it makes
carries a name of its own and is taken away again.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart.rendering import CASES, NAMESPACE, render, requires_helm
from kit.pod_corpus import files, load, patched
from manifests.render import FOLDER
from tools.binaries import find

KUBECONFIG = os.environ.get("TIDEGATE_TEST_KUBECONFIG", "")
LIMIT_S = 30.0
FOREIGN = ("monitoring.coreos.com", "cert-manager.io")

pytestmark = [
    requires_helm,
    pytest.mark.skipif(not KUBECONFIG, reason="TIDEGATE_TEST_KUBECONFIG names no kubeconfig"),
]


def kubectl(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [str(find("kubectl")), f"--kubeconfig={KUBECONFIG}", *words]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, input=given, timeout=60
    )


def done(*words: str, given: str = "") -> str:
    result = kubectl(*words, given=given)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def documents(objects: list[dict[str, Any]]) -> str:
    text: str = yaml.safe_dump_all(objects)
    return text


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"tidegate-{uuid.uuid4().hex[:8]}"
    done("create", "namespace", name)
    yield name
    done("delete", "namespace", name, "--wait=false")


@pytest.mark.parametrize("case", CASES)
def test_every_object_is_accepted(case: str, namespace: str) -> None:
    objects = [o for o in render(*CASES[case]).objects if not o["apiVersion"].startswith(FOREIGN)]
    text = documents(objects).replace(NAMESPACE, namespace)
    for watched in ("shop", "chat"):
        text = text.replace(f"namespace: {watched}", f"namespace: {namespace}")
    flags = ("--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts")
    applied = done("apply", *flags, "-f", "-", given=text)
    assert applied.count("serverside-applied") == len(objects)


def test_injected_pods_are_accepted(namespace: str) -> None:
    pods = []
    for path in files("allowed"):
        pod = patched(load(path))
        kept = ("labels", "annotations")
        metadata = {key: pod["metadata"][key] for key in kept}
        pod["metadata"] = {**metadata, "name": path.stem.replace("_", "-"), "namespace": namespace}
        pod["spec"]["serviceAccountName"] = "default"
        pods.append(pod)
    wait_for_service_account(namespace)
    created = done(
        *("create", "--dry-run=server", "--validate=strict", "-f", "-"), given=documents(pods)
    )
    assert created.count("created") == len(pods)


def wait_for_service_account(namespace: str) -> None:
    """A server without controllers makes none, and then it asks for none."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end and controllers_run():
        if kubectl("get", "serviceaccount", "default", "-n", namespace).returncode == 0:
            return
        time.sleep(0.2)


def controllers_run() -> bool:
    return kubectl("get", "serviceaccount", "default", "-n", "default").returncode == 0


@pytest.fixture
def operator_account(namespace: str) -> Iterator[str]:
    """The chart's operator account with its real rights and the policy, but no operator."""
    wanted = {
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }
    objects = [
        o
        for o in render("rbac.aggregate=false", "uninstall.readmit=false").objects
        if o["kind"] in wanted
    ]
    text = documents(objects).replace(NAMESPACE, namespace).replace("tidegate-operator", namespace)
    may_get = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    subject = {"kind": "ServiceAccount", "name": namespace, "namespace": namespace}
    # kubectl reads before it patches, which the operator does not.
    reading = [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "reader", "namespace": namespace},
            "rules": [may_get],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "reader", "namespace": namespace},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": "reader",
            },
            "subjects": [subject],
        },
    ]
    done("apply", "-f", "-", given=text)
    done("apply", "-f", "-", given=documents(reading))
    yield f"system:serviceaccount:{namespace}:{namespace}"
    done("delete", "--wait=false", "--ignore-not-found", "-f", "-", given=text)


def test_the_operator_changes_nothing_on_pods_but_its_keys(
    namespace: str, operator_account: str
) -> None:
    wait_for_service_account(namespace)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "p",
            "namespace": namespace,
            "labels": {"app": "p"},
            "annotations": {"own": "p"},
        },
        "spec": {"containers": [{"name": "p", "image": "p"}], "serviceAccountName": "default"},
    }
    done("create", "-f", "-", given=json.dumps(pod))

    def answer(change: dict[str, Any]) -> str:
        words = ("patch", "pod", "p", "-n", namespace, f"--as={operator_account}", "--type=merge")
        result = kubectl(*words, "-p", json.dumps(change))
        return result.stdout + result.stderr

    foreign: dict[str, Any] = {"metadata": {"labels": {"team": "x"}}}
    end = time.monotonic() + LIMIT_S
    while "changes no labels" not in answer(foreign):
        assert time.monotonic() < end, "the policy never came into force"
        foreign["metadata"]["labels"]["team"] += "x"
        time.sleep(0.2)
    cost = "controller.kubernetes.io/pod-deletion-cost"
    for change in (
        {"metadata": {"labels": {"tidegate.dev/admit": "false"}}},
        {"metadata": {"annotations": {cost: "7"}}},
        {"metadata": {"labels": {"tidegate.dev/admit": None}, "annotations": {cost: None}}},
    ):
        assert "patched" in answer(change)
    for refused, words in (
        ({"metadata": {"labels": {"app": None}}}, "changes no labels"),
        ({"metadata": {"labels": {"app": "other"}}}, "changes no labels"),
        ({"metadata": {"annotations": {"own": "other"}}}, "changes no annotations"),
        ({"metadata": {"annotations": {"own": None}}}, "changes no annotations"),
        ({"metadata": {"annotations": {"a": "b"}}}, "changes no annotations"),
        ({"metadata": {"finalizers": ["a.b/c"]}}, "neither finalizers nor owners"),
        ({"spec": {"activeDeadlineSeconds": 60}}, "neither spec nor status"),
    ):
        assert words in answer(refused)


@pytest.mark.parametrize("folder", [FOLDER, FOLDER.parent / "example"], ids=lambda f: f.name)
def test_the_kustomizations_build(folder: Path) -> None:
    built = [d for d in yaml.safe_load_all(done("kustomize", str(folder))) if d]
    kinds = {d["kind"] for d in built}
    assert {"Deployment", "Service"} <= kinds
