"""A pod in proxy mode: the program beside it, the hooks of its containers, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from kit.pod_corpus import TOKEN, decide, env_of, patched, sidecar_of, small_pod

from tidegate.contract.proxy import ProxySettings
from tidegate.injection.inject import Denied, Injected
from tidegate_process.environ import read


def proxied(**annotations: str) -> dict[str, Any]:
    return small_pod(mode="proxy", **{"upstream_port": "8000", **annotations})


def with_hook(hook: object) -> dict[str, Any]:
    pod = proxied()
    pod["spec"]["containers"][0]["lifecycle"] = {"preStop": hook, "postStart": {"exec": {}}}
    return pod


def test_the_proxy_is_given_what_it_reads_and_nothing_else() -> None:
    pod = patched(proxied(finite_paths="/v1/*", trusted_proxies="10.0.0.0/8"))
    sidecar = sidecar_of(pod)
    assert sidecar["command"] == ["tidegate", "proxy"]
    variables = env_of(pod)
    assert variables["TIDEGATE_UPSTREAM"] == "http://127.0.0.1:8000"
    assert not {name for name in variables if "BACKPLANE" in name or "PUBLISH" in name}
    settings, problems = read(
        ProxySettings, {**variables, "TIDEGATE_POD_NAME": "a", "TIDEGATE_POD_UID": "u"}
    )
    assert problems == ()
    assert settings.application.finite_paths == ("/v1/*",)
    assert [str(network) for network in settings.application.trusted_proxies] == ["10.0.0.0/8"]


def test_a_second_call_changes_nothing() -> None:
    assert decide(patched(proxied())) == Injected()


@pytest.mark.parametrize(
    ("hook", "path"),
    [
        (None, "/drain/app"),
        ({"sleep": {"seconds": 15}}, "/drain/app?min_s=15"),
        ({"exec": {"command": ["sleep", "5"]}}, "/drain/app?min_s=5"),
        ({"exec": {"command": ["/bin/sh", "-c", "sleep 20"]}}, "/drain/app?min_s=20"),
        ({"exec": {"command": ["sh", "-c", "exec /bin/sleep 7s"]}}, "/drain/app?min_s=7"),
    ],
)
def test_a_container_without_a_hook_or_with_a_sleep_waits_for_the_drain(
    hook: object, path: str
) -> None:
    pod = proxied() if hook is None else with_hook(hook)
    (container,) = patched(pod)["spec"]["containers"]
    asked = container["lifecycle"]["preStop"]
    assert list(asked) == ["httpGet"]
    assert asked["httpGet"]["path"] == path
    assert asked["httpGet"]["port"] == 9190
    assert asked["httpGet"]["httpHeaders"] == [{"name": "X-Tidegate-Token", "value": TOKEN}]
    assert ("postStart" in container["lifecycle"]) == (hook is not None)


@pytest.mark.parametrize(
    "hook",
    [
        {"exec": {"command": ["sh", "-c", "sleep 5 && nginx -s quit"]}},
        {"exec": {"command": ["/app/stop", "5"]}},
        {"httpGet": {"path": "/stop", "port": 8000}},
    ],
)
def test_any_other_hook_is_kept_with_a_warning(hook: object) -> None:
    decision = decide(with_hook(hook))
    assert isinstance(decision, Injected)
    assert any("container app has a preStop hook of its own" in told for told in decision.warnings)
    assert patched(with_hook(hook))["spec"]["containers"][0]["lifecycle"]["preStop"] == hook


@pytest.mark.parametrize(
    ("annotations", "reason"),
    [
        ({"mode": "proxy"}, "proxy mode needs tidegate.dev/upstream-port"),
        ({"mode": "proxy", "upstream_port": "9190"}, "the sidecar's own tidegate.dev/admin-port"),
        ({"mode": "proxy", "upstream_port": "http"}, "tidegate.dev/upstream-port"),
        ({"upstream_port": "8000"}, "set tidegate.dev/mode: proxy"),
        ({"mode": "proxy", "upstream_port": "1", "auth_secret": "keys"}, "to the application"),
    ],
)
def test_what_contradicts_the_mode_is_refused_with_the_fix(
    annotations: dict[str, str], reason: str
) -> None:
    decision = decide(small_pod(**annotations))
    assert isinstance(decision, Denied)
    assert reason in decision.reason


def test_neither_hub_nor_application_changes_without_the_mode() -> None:
    pod = patched(small_pod())
    assert "command" not in sidecar_of(pod)
    assert "lifecycle" not in pod["spec"]["containers"][0]
