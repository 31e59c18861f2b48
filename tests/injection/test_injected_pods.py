"""What an injected pod looks like, over a corpus of pods as they come in the wild."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kit.pod_corpus import (
    CA_PEM,
    SETTINGS,
    TOKEN,
    allowed,
    decide,
    env_of,
    files,
    load,
    patched,
    sidecar_of,
    small_pod,
)

from tidegate.contract.sidecar import SidecarSettings
from tidegate.injection.inject import Injected
from tidegate.injection.settings import InjectionSettings
from tidegate_process.environ import read


@pytest.mark.parametrize("path", files("allowed"), ids=lambda path: path.stem)
def test_nothing_of_the_pod_is_lost(path: Path) -> None:
    before = load(path)
    after = patched(before)
    assert after["spec"]["containers"] == before["spec"]["containers"]
    assert after["spec"]["initContainers"][:-1] == (before["spec"].get("initContainers") or [])
    assert after["spec"]["initContainers"][-1]["name"] == "tidegate"
    kept = before["spec"].get("volumes") or []
    assert after["spec"]["volumes"][: len(kept)] == kept
    assert before["metadata"].get("labels", {}).items() <= after["metadata"]["labels"].items()
    assert before["metadata"]["annotations"].items() <= after["metadata"]["annotations"].items()
    changed = {"initContainers", "volumes", "imagePullSecrets", "terminationGracePeriodSeconds"}
    for key in before["spec"].keys() - changed:
        assert after["spec"][key] == before["spec"][key]


@pytest.mark.parametrize("path", files("allowed"), ids=lambda path: path.stem)
def test_a_second_call_changes_nothing(path: Path) -> None:
    once = patched(load(path))
    again = decide(once)
    assert again == Injected()


@pytest.mark.parametrize("path", files("allowed"), ids=lambda path: path.stem)
def test_the_sidecar_is_native_restricted_and_measured(path: Path) -> None:
    sidecar = sidecar_of(patched(load(path)))
    assert sidecar["restartPolicy"] == "Always"
    assert set(sidecar["resources"]["requests"]) == {"cpu", "memory"}
    security = sidecar["securityContext"]
    assert security["runAsNonRoot"]
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert all(isinstance(v["value"], str) for v in sidecar["env"] if "value" in v)


@pytest.mark.parametrize("path", files("allowed"), ids=lambda path: path.stem)
def test_only_the_sidecar_gets_a_hook_and_it_shows_the_token(path: Path) -> None:
    pod = patched(load(path))
    sidecar, variables = sidecar_of(pod), env_of(pod)
    hook = sidecar["lifecycle"]["preStop"]["httpGet"]
    assert "host" not in hook
    assert hook["path"] == "/drain/pod"
    assert str(hook["port"]) == variables["TIDEGATE_ADMIN_PORT"]
    assert hook["httpHeaders"] == [{"name": "X-Tidegate-Token", "value": TOKEN}]
    assert variables["TIDEGATE_ADMIN_HOST"] in ("0.0.0.0", "::")
    assert variables["TIDEGATE_POD_TOKEN"] == TOKEN
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert str(sidecar[probe]["httpGet"]["port"]) == variables["TIDEGATE_ADMIN_PORT"]
    ports = {port["name"]: str(port["containerPort"]) for port in sidecar["ports"]}
    assert ports["tidegate-sse"] == variables["TIDEGATE_PUBLIC_PORT"]
    assert ports["tidegate-admin"] == variables["TIDEGATE_ADMIN_PORT"]


@pytest.mark.parametrize("path", files("allowed"), ids=lambda path: path.stem)
def test_the_real_sidecar_takes_every_variable(path: Path) -> None:
    at_run_time = {"TIDEGATE_POD_NAME": "web-1", "TIDEGATE_POD_UID": "0f3c"}
    given = {**env_of(patched(load(path))), **at_run_time}
    if not isinstance(given["TIDEGATE_BACKPLANE"], str):
        given["TIDEGATE_BACKPLANE"] = "nats://from-a-secret:4222"
    settings, warnings = read(SidecarSettings, given)
    assert warnings == ()
    assert settings.identity.pod_token == TOKEN
    assert settings.operator.url is not None
    assert settings.drain.grace_s > settings.drain.reserve_s


def test_the_application_may_start_as_soon_as_the_sidecar_listens() -> None:
    sidecar = sidecar_of(patched(allowed("plain_deployment_pod")))
    assert sidecar["startupProbe"]["httpGet"]["path"] == "/livez"
    assert sidecar["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert sidecar["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_the_operator_is_known_by_token_and_ca() -> None:
    pod = patched(allowed("plain_deployment_pod"))
    volume = pod["spec"]["volumes"][-1]
    token, ca = volume["projected"]["sources"]
    assert token["serviceAccountToken"]["audience"] == "tidegate.dev"
    assert ca["downwardAPI"]["items"][0]["fieldRef"]["fieldPath"] == (
        "metadata.annotations['tidegate.dev/operator-ca']"
    )
    assert pod["metadata"]["annotations"]["tidegate.dev/operator-ca"] == CA_PEM
    (mount,) = sidecar_of(pod)["volumeMounts"]
    variables = env_of(pod)
    for name, file in (("TOKEN", "token"), ("CA", "ca.crt")):
        assert variables[f"TIDEGATE_OPERATOR_{name}_FILE"] == f"{mount['mountPath']}/{file}"
    assert variables["TIDEGATE_POD_UID"] == {"fieldRef": {"fieldPath": "metadata.uid"}}


def test_a_token_outlives_a_long_drain() -> None:
    for grace_s, lifetime_s in (("300", 3600), ("3600", 18000)):
        pod = patched(small_pod(grace_s=grace_s))
        token = pod["spec"]["volumes"][-1]["projected"]["sources"][0]["serviceAccountToken"]
        assert token["expirationSeconds"] == lifetime_s
        assert token["expirationSeconds"] / 5 >= int(grace_s)


def test_without_an_operator_there_is_no_volume() -> None:
    alone = InjectionSettings(image="i", version="1", defaults=SETTINGS.defaults)
    pod = patched(small_pod(), alone)
    assert "volumes" not in pod["spec"]
    assert "volumeMounts" not in sidecar_of(pod)
    assert not [name for name in env_of(pod) if name.startswith("TIDEGATE_OPERATOR")]


def test_grace_changes_only_when_asked() -> None:
    kept = patched(allowed("plain_deployment_pod"))
    assert kept["spec"]["terminationGracePeriodSeconds"] == 60
    assert env_of(kept)["TIDEGATE_GRACE_S"] == "60"
    asked = patched(allowed("existing_hooks_and_probes"))
    assert asked["spec"]["terminationGracePeriodSeconds"] == 120
    assert (env_of(asked)["TIDEGATE_GRACE_S"], env_of(asked)["TIDEGATE_RESERVE_S"]) == ("120", "22")
    silent = patched(small_pod())
    assert "terminationGracePeriodSeconds" not in silent["spec"]
    assert env_of(silent)["TIDEGATE_GRACE_S"] == "30"


@pytest.mark.parametrize(
    ("grace_s", "reserve_s"), [(0, "0.5"), (1, "0.5"), (5, "2.5"), (8, "4"), (30, "5")]
)
def test_a_short_grace_period_still_has_a_reserve(grace_s: int, reserve_s: str) -> None:
    pod = small_pod()
    pod["spec"]["terminationGracePeriodSeconds"] = grace_s
    assert env_of(patched(pod))["TIDEGATE_RESERVE_S"] == reserve_s


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("plain_deployment_pod", "shop_web"),
        ("argo_rollout_pod", "shop_canary"),
        ("root_pod", "shop_legacy"),
        ("several_containers", "shop_orders"),
        ("one_pod_on_memory", "shop_alone"),
        ("stock_mode", "STOCK"),
    ],
)
def test_all_revisions_of_a_workload_share_one_log(name: str, stream: str) -> None:
    pod = patched(allowed(name))
    assert env_of(pod)["TIDEGATE_BACKPLANE_STREAM"] == stream
    assert json.loads(pod["metadata"]["annotations"]["tidegate.dev/status"]) == {
        "image": SETTINGS.image,
        "stream": stream,
        "version": "1.2.3",
    }


def test_long_names_of_logs_stay_different() -> None:
    streams = []
    for end in ("a", "b"):
        pod = small_pod()
        pod["metadata"]["name"] = "x.y" * 60 + end
        streams.append(env_of(patched(pod))["TIDEGATE_BACKPLANE_STREAM"])
    assert streams[0] != streams[1]
    assert all(len(stream) == 64 and "." not in stream for stream in streams)


def test_annotations_reach_the_sidecar() -> None:
    variables = env_of(patched(allowed("stock_mode")))
    assert variables["TIDEGATE_DRAIN"] == "cut"
    assert variables["TIDEGATE_RETRY"] == "off"
    assert variables["TIDEGATE_PRESTOP_SLEEP_S"] == "5"
    assert "TIDEGATE_HEARTBEAT_S" not in variables


def test_the_cluster_has_defaults_and_the_pod_the_last_word() -> None:
    settings = InjectionSettings(
        image="i",
        version="1",
        defaults={"backplane": "nats://a:4222", "heartbeat-s": "20", "cpu-request": "1"},
    )
    pod = patched(small_pod(heartbeat_s="10"), settings)
    assert env_of(pod)["TIDEGATE_HEARTBEAT_S"] == "10"
    assert env_of(pod)["TIDEGATE_BACKPLANE"] == "nats://a:4222"
    assert sidecar_of(pod)["resources"]["requests"]["cpu"] == "1"


def test_a_secret_of_the_pod_replaces_the_clusters_backplane() -> None:
    variables = env_of(patched(allowed("vault_agent")))
    assert variables["TIDEGATE_BACKPLANE"] == {
        "secretKeyRef": {"name": "billing-nats", "key": "url"}
    }


def test_default_container_is_the_applications_first() -> None:
    key = "kubectl.kubernetes.io/default-container"
    assert patched(allowed("istio_classic_sidecar"))["metadata"]["annotations"][key] == "cart"
    assert patched(allowed("several_containers"))["metadata"]["annotations"][key] == "api"


def test_pull_secrets_are_added_to_the_pods_own() -> None:
    pod = patched(allowed("argo_rollout_pod"))
    assert pod["spec"]["imagePullSecrets"] == [{"name": "own-registry"}, {"name": "mirror"}]


def test_the_platform_may_choose_the_user() -> None:
    settings = InjectionSettings(
        image="i", version="1", run_as_user=None, defaults=SETTINGS.defaults
    )
    security = sidecar_of(patched(small_pod(), settings))["securityContext"]
    assert "runAsUser" not in security
    assert security["runAsNonRoot"]


def test_the_sidecar_is_put_last_again_when_another_webhook_came_after() -> None:
    pod = patched(allowed("plain_deployment_pod"))
    sidecar = sidecar_of(pod)
    pod["spec"]["initContainers"].append({"name": "istio-proxy", "restartPolicy": "Always"})
    again = patched(pod)
    assert [c["name"] for c in again["spec"]["initContainers"]] == ["istio-proxy", "tidegate"]
    assert sidecar_of(again) == sidecar
    assert decide(again) == Injected()


@pytest.mark.parametrize("value", ["false", None])
def test_a_pod_that_did_not_ask_is_left_alone(value: str | None) -> None:
    pod = small_pod()
    if value is None:
        pod["metadata"] = {}
    else:
        pod["metadata"]["annotations"]["tidegate.dev/inject"] = value
    assert decide(pod) == Injected()
