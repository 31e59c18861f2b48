"""Keys that verify tokens come as files from a Secret of the pod's namespace."""

from __future__ import annotations

from kit.pod_corpus import decide, env_of, patched, sidecar_of, small_pod

from tidegate.contract.sidecar import SidecarSettings
from tidegate.injection.inject import Denied, Injected
from tidegate_process.environ import read

JWT = {"auth": "jwt", "auth_audience": "feed"}


def test_the_secret_is_mounted_and_named_to_the_sidecar() -> None:
    pod = patched(small_pod(**JWT, auth_secret="keys"))
    assert {"name": "tidegate-auth", "secret": {"secretName": "keys"}} in pod["spec"]["volumes"]
    mounts = {mount["name"]: mount for mount in sidecar_of(pod)["volumeMounts"]}
    assert mounts["tidegate-auth"]["readOnly"]
    settings, _ = read(
        SidecarSettings,
        {key: value for key, value in env_of(pod).items() if isinstance(value, str)},
    )
    assert settings.auth.mode == "jwt"
    assert settings.auth.keys == mounts["tidegate-auth"]["mountPath"]


def test_without_one_nothing_is_mounted() -> None:
    pod = patched(small_pod())
    assert "tidegate-auth" not in str(pod["spec"])


def test_tokens_that_nothing_could_verify_are_a_denial() -> None:
    denied = decide(small_pod(**JWT))
    assert isinstance(denied, Denied)
    assert "AUTH_KEYS" in denied.reason
    denied = decide(small_pod(auth="jwt", auth_secret="keys"))
    assert isinstance(denied, Denied)
    assert "tidegate.dev/auth-audience is required" in denied.reason
    denied = decide(small_pod(**JWT, auth_jwks_url="http://id.example/keys"))
    assert isinstance(denied, Denied)
    assert "must be https" in denied.reason


def test_keys_that_nothing_uses_are_a_warning() -> None:
    decision = decide(small_pod(auth_secret="keys"))
    assert isinstance(decision, Injected)
    assert any('set tidegate.dev/auth: "jwt"' in told for told in decision.warnings)


def test_a_volume_of_that_name_is_a_denial() -> None:
    pod = small_pod(**JWT, auth_secret="keys")
    pod["spec"]["volumes"] = [{"name": "tidegate-auth", "emptyDir": {}}]
    denied = decide(pod)
    assert isinstance(denied, Denied)
    assert "volume tidegate-auth already" in denied.reason
