"""What the chart renders: rights, security, addresses, and the contract spelled as in the code."""

from __future__ import annotations

import dataclasses
import functools
import json
from typing import Any

import pytest
import yaml
from chart.rendering import (
    CASES,
    CERT_MANAGER,
    CHART,
    EVERYTHING,
    NAMESPACE,
    SOME_NAMESPACES,
    Rendered,
    render,
    requires_helm,
)

from tidegate.contract import kube, names
from tidegate.rollout.snapshot import Policy
from tidegate_injector.settings import InjectorSettings
from tidegate_kubernetes.kinds import KINDS
from tidegate_operator.kube.settings import OperatorSettings
from tidegate_process.environ import read

pytestmark = requires_helm


@functools.cache
def chart(case: str) -> Rendered:
    return render(*CASES[case])


def rules(role: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize("case", CASES)
def test_every_pod_is_restricted_and_measured(case: str) -> None:
    pods = dict(chart(case).pods())
    assert {"tidegate-operator", "tidegate-injector"} <= pods.keys()
    for template in pods.values():
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert "hostNetwork" not in spec
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()


@pytest.mark.parametrize("case", CASES)
def test_every_object_is_labelled_and_selectors_find_their_pods(case: str) -> None:
    rendered = chart(case)
    for found in rendered.objects:
        assert found["metadata"]["labels"]["app.kubernetes.io/part-of"] == "tidegate"
    pods = {name: template["metadata"]["labels"] for name, template in rendered.pods()}
    for found in [*rendered.of_kind("Deployment"), *rendered.of_kind("StatefulSet")]:
        selector = found["spec"]["selector"]["matchLabels"]
        chosen = [name for name, labels in pods.items() if selector.items() <= labels.items()]
        assert chosen == [found["metadata"]["name"]]
    for service in rendered.of_kind("Service"):
        selector = {k: v for k, v in service["spec"]["selector"].items() if k != kube.LABEL_LEADER}
        assert any(selector.items() <= labels.items() for labels in pods.values())


@pytest.mark.parametrize("case", CASES)
def test_no_secret_is_rendered_and_nothing_is_random(case: str) -> None:
    assert chart(case).of_kind("Secret") == []
    assert render(*CASES[case]) == chart(case)


@pytest.mark.parametrize("case", CASES)
def test_the_programs_take_the_settings_they_are_given(case: str) -> None:
    operator = chart(case).environment("tidegate-operator")
    given = {**operator, "TIDEGATE_POD_NAME": "p", "TIDEGATE_POD_NAMESPACE": NAMESPACE}
    settings, warnings = read(OperatorSettings, given)
    assert settings.policy == Policy()
    assert warnings == ()
    injector = chart(case).environment("tidegate-injector")
    injected, warnings = read(InjectorSettings, injector)
    assert warnings == ()
    assert injected.injection.image == "tidegate-sidecar:0.1.0"
    assert injected.injection.operator_url == f"https://tidegate-operator.{NAMESPACE}.svc:9443"


def test_every_field_of_the_default_policy_reaches_the_operator() -> None:
    fields: tuple[str, ...] = ("budgetPerSecond=7", "windowSeconds=60", "reserveSeconds=9")
    fields += ("retryMilliseconds=5",)
    fields += ("steering=false", "rebalance=false", "flipLagMilliseconds=250")
    fields += ("flipIntervalMilliseconds=300",)
    given = render(*(f"operator.defaultPolicy.{field}" for field in fields))
    settings, _ = read(OperatorSettings, given.environment("tidegate-operator"))
    assert settings.policy == Policy(7, 60, 9, 5, False, False, 0.25, 0.3)
    assert len(fields) == len(dataclasses.fields(Policy))


@pytest.mark.parametrize(
    ("case", "defaults"),
    [
        ("default", {}),
        (
            "everything",
            {
                "backplane": f"nats://tidegate-nats.{NAMESPACE}.svc:4222",
                "heartbeat-s": "20",
            },
        ),
        ("cert-manager", {"backplane": "nats://n:4222"}),
        ("existing-secret", {"backplane-secret": "nats-url"}),
    ],
)
def test_sidecars_get_the_backplane_of_the_values(case: str, defaults: dict[str, str]) -> None:
    given = chart(case).environment("tidegate-injector")["TIDEGATE_SIDECAR_DEFAULTS"]
    assert json.loads(given) == defaults


def test_the_platform_may_choose_the_sidecars_user() -> None:
    assert chart("some-namespaces").environment("tidegate-injector")["TIDEGATE_SIDECAR_USER"] == ""


def test_the_webhook_looks_at_annotated_pods_only() -> None:
    (webhook,) = chart("default").one("MutatingWebhookConfiguration", "tidegate-injector")[
        "webhooks"
    ]
    assert webhook["failurePolicy"] == "Fail"
    assert webhook["sideEffects"] == "None"
    assert webhook["reinvocationPolicy"] == "IfNeeded"
    (condition,) = webhook["matchConditions"]
    assert kube.ANNOTATION_INJECT in condition["expression"]
    (rule,) = webhook["rules"]
    assert (rule["operations"], rule["resources"]) == (["CREATE"], ["pods"])
    (excluded,) = webhook["namespaceSelector"]["matchExpressions"]
    assert excluded["operator"] == "NotIn"
    assert {"kube-system", NAMESPACE} <= set(excluded["values"])
    assert webhook["clientConfig"]["service"]["path"] == kube.PATH_INJECT


def test_the_cabundle_belongs_to_who_keeps_the_certificate() -> None:
    def client_config(case: str) -> dict[str, Any]:
        found = chart(case).one("MutatingWebhookConfiguration", "tidegate-injector")
        config: dict[str, Any] = found["webhooks"][0]["clientConfig"]
        return config

    assert "caBundle" not in client_config("default")
    assert "caBundle" not in client_config("cert-manager")
    assert client_config("existing-secret")["caBundle"]
    (certificate,) = [
        c for c in render(*CERT_MANAGER).of_kind("Certificate") if "dnsNames" in c["spec"]
    ]
    assert f"tidegate-operator.{NAMESPACE}.svc" in certificate["spec"]["dnsNames"]
    assert f"tidegate-injector.{NAMESPACE}.svc" in certificate["spec"]["dnsNames"]


@pytest.mark.parametrize(
    ("case", "secret"),
    [("default", "tidegate-tls"), ("cert-manager", "tidegate-tls"), ("existing-secret", "my-tls")],
)
def test_the_injector_mounts_the_secret_that_somebody_writes(case: str, secret: str) -> None:
    template = dict(chart(case).pods())["tidegate-injector"]
    (volume,) = [v for v in template["spec"]["volumes"] if v["name"] == "tls"]
    assert volume["secret"]["secretName"] == secret
    operator = chart(case).environment("tidegate-operator")
    assert operator.get("TIDEGATE_CERTIFICATE_SECRET", secret) == secret
    assert (operator["TIDEGATE_CERTIFICATES"] == "auto") == (case == "default")


def test_ports_are_those_of_the_contract() -> None:
    rendered = chart("everything")
    pods = dict(rendered.pods())

    def ports(name: str) -> dict[str, int]:
        (container,) = pods[name]["spec"]["containers"]
        return {port["name"]: port["containerPort"] for port in container["ports"]}

    assert ports("tidegate-operator")["report"] == names.REPORT_PORT
    assert ports("tidegate-injector")["webhook"] == kube.WEBHOOK_PORT
    assert ports("tidegate-injector")["health"] == names.HEALTH_PORT
    (monitor,) = rendered.of_kind("PodMonitor")
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] == kube.CONTAINER_PORT_ADMIN
    assert monitor["spec"]["selector"]["matchLabels"] == {names.LABEL_INJECTED: "true"}


def test_the_operator_may_do_what_it_does_and_nothing_more() -> None:
    role = rules(chart("default").one("ClusterRole", "tidegate-operator"))
    read = {(k.group, k.plural, verb) for k in KINDS for verb in ("list", "watch")}
    written = {
        ("", "pods", "patch"),
        ("tidegate.dev", "drainpolicies/status", "patch"),
        ("events.k8s.io", "events", "create"),
        ("events.k8s.io", "events", "patch"),
    }
    assert role == read | written
    cluster = rules(chart("default").one("ClusterRole", "tidegate-operator-cluster"))
    assert cluster == {
        ("authentication.k8s.io", "tokenreviews", "create"),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "get"),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "patch"),
    }
    own = rules(chart("default").one("Role", "tidegate-operator"))
    assert own == {
        *(("coordination.k8s.io", "leases", verb) for verb in ("create", "get", "update")),
        *(("", "secrets", verb) for verb in ("create", "get", "update")),
    }


@pytest.mark.parametrize("case", ["cert-manager", "existing-secret"])
def test_who_makes_no_certificate_touches_no_secret(case: str) -> None:
    own = rules(chart(case).one("Role", "tidegate-operator"))
    assert not [rule for rule in own if rule[1] == "secrets"]
    cluster = rules(chart(case).one("ClusterRole", "tidegate-operator-cluster"))
    assert cluster == {("authentication.k8s.io", "tokenreviews", "create")}


def test_some_namespaces_are_bound_one_by_one() -> None:
    rendered = render(*SOME_NAMESPACES)
    bindings = [b for b in rendered.of_kind("RoleBinding") if b["roleRef"]["kind"] == "ClusterRole"]
    found = sorted((b["roleRef"]["name"], b["metadata"]["namespace"]) for b in bindings)
    accounts = ("tidegate-operator", "tidegate-readmit")
    assert found == [(account, ns) for account in accounts for ns in ("chat", "shop")]
    names_bound = [b["metadata"]["name"] for b in rendered.of_kind("ClusterRoleBinding")]
    assert names_bound == ["tidegate-operator-cluster"]


def test_the_admission_policy_holds_the_operator_to_its_keys() -> None:
    rendered = chart("default")
    policy = rendered.one("ValidatingAdmissionPolicy", "tidegate-operator")["spec"]
    (condition,) = policy["matchConditions"]
    for account in ("operator", "readmit"):
        assert f"system:serviceaccount:{NAMESPACE}:tidegate-{account}" in condition["expression"]
        assert rendered.one("ServiceAccount", f"tidegate-{account}")
    expressions = " ".join(v["expression"] for v in policy["validations"])
    assert names.ANNOTATION_DELETION_COST in expressions
    assert "object.spec == oldObject.spec" in expressions
    binding = rendered.one("ValidatingAdmissionPolicyBinding", "tidegate-operator")["spec"]
    assert binding == {"policyName": "tidegate-operator", "validationActions": ["Deny"]}


def test_uninstall_opens_every_pod_before_and_after_the_operator_goes() -> None:
    rendered = chart("default")
    hooks = [o for o in rendered.objects if "helm.sh/hook" in o["metadata"].get("annotations", {})]
    assert {o["kind"] for o in hooks} == {
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "Job",
    }
    for found in hooks:
        assert found["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete,post-delete"
    job = rendered.one("Job", "tidegate-readmit")["spec"]["template"]["spec"]
    assert job["containers"][0]["command"][-2:] == ["tidegate", "readmit"]
    assert rules(rendered.one("ClusterRole", "tidegate-readmit")) == {
        ("", "pods", "list"),
        ("", "pods", "patch"),
    }


def test_policies_survive_unless_told_otherwise() -> None:
    assert not (CHART / "crds").exists(), "helm never upgrades what is in there"
    crd = chart("default").one("CustomResourceDefinition", "drainpolicies.tidegate.dev")
    assert crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    source = yaml.safe_load((CHART / "files" / "drainpolicies.yaml").read_text())
    assert crd["spec"] == source["spec"]
    (other,) = render("crds.keep=false").of_kind("CustomResourceDefinition")
    assert "annotations" not in other["metadata"]


def test_images_by_registry_tag_and_digest() -> None:
    digest = "sha256:" + "a" * 64
    rendered = render(
        "image.registry=mirror.example/x/",
        "operator.image.tag=v2",
        f"sidecar.image.digest={digest}",
    )
    pods = dict(rendered.pods())
    assert pods["tidegate-operator"]["spec"]["containers"][0]["image"] == (
        "mirror.example/x/tidegate-operator:v2"
    )
    sidecar = rendered.environment("tidegate-injector")["TIDEGATE_SIDECAR_IMAGE"]
    assert sidecar == f"mirror.example/x/tidegate-sidecar@{digest}"


def test_network_policies_let_in_what_the_programs_need() -> None:
    policies = {
        p["metadata"]["name"]: p["spec"] for p in render(*EVERYTHING).of_kind("NetworkPolicy")
    }
    assert policies.keys() == {"tidegate-operator", "tidegate-injector", "tidegate-nats"}
    for name in ("tidegate-injector", "tidegate-nats"):
        assert policies[name]["egress"] == []
    for name in ("tidegate-operator", "tidegate-nats"):
        source = policies[name]["ingress"][0]["from"][0]
        assert source["podSelector"]["matchLabels"] == {names.LABEL_INJECTED: "true"}
