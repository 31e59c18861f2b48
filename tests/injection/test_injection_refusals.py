"""What stands against injection, with the text of the fix; and what is only worth a warning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from kit.pod_corpus import (
    SETTINGS,
    allowed,
    decide,
    files,
    load,
    patched,
    sidecar_of,
    small_pod,
)

from tidegate.injection.inject import Denied, Injected
from tidegate.injection.settings import InjectionSettings


@pytest.mark.parametrize("path", files("denied"), ids=lambda path: path.stem)
def test_denied_with_the_fix(path: Path) -> None:
    expected = path.read_text().splitlines()[0].removeprefix("# ")
    decision = decide(load(path))
    assert isinstance(decision, Denied)
    assert expected in decision.reason


def test_hub_mode_needs_a_shared_backplane_or_memory_by_name() -> None:
    bare = InjectionSettings(image="i", version="1")
    decision = decide(small_pod(), bare)
    assert isinstance(decision, Denied)
    assert "sidecar.backplane" in decision.reason
    assert "tidegate.dev/backplane: memory" in decision.reason
    assert isinstance(decide(small_pod(backplane="memory"), bare), Injected)


def test_all_reasons_are_told_at_once() -> None:
    pod = small_pod(reserve_s="40")
    pod["spec"]["hostNetwork"] = True
    decision = decide(pod)
    assert isinstance(decision, Denied)
    assert "hostNetwork" in decision.reason
    assert "reserve-s" in decision.reason


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain_deployment_pod", []),
        ("several_containers", ['no label tidegate.dev/admit: "true"']),
        ("guaranteed_qos", ["was Guaranteed and becomes Burstable"]),
        ("one_pod_on_memory", ["no label", "grace period of 8 s leaves 4 s"]),
        (
            "moved_ports",
            [
                "tidegate.dev/heartbeats is not a key of Tidegate; did you mean "
                "tidegate.dev/heartbeat-s?",
                "tidegate.dev/injekted is not a key of Tidegate; did you mean "
                "tidegate.dev/injected?",
            ],
        ),
    ],
)
def test_warned_of(name: str, expected: list[str]) -> None:
    decision = decide(allowed(name))
    assert isinstance(decision, Injected)
    assert len(decision.warnings) == len(expected)
    for warning, words in zip(decision.warnings, expected, strict=True):
        assert words in warning
        assert len(warning) <= 256, "the API server cuts longer ones"


def test_a_label_written_as_annotation_is_told_apart() -> None:
    decision = decide(small_pod(admit="true"))
    assert isinstance(decision, Injected)
    assert decision.warnings == ("tidegate.dev/admit is not read here: it is a label",)


@pytest.mark.parametrize(
    ("defaults", "words"),
    [
        ({"heartbeat": "20"}, "heartbeat is not a setting; there are mode, "),
        ({"inject": "true"}, "inject is not a setting"),
        ({"backplane": "nats:user:s3cret"}, "backplane must be memory or nats://HOST:PORT"),
        ({"heartbeat-s": "often"}, "must be a number from 1 to 3600 seconds, not 'often'"),
        ({"backplane": "memory"}, "memory serves one pod only"),
    ],
)
def test_a_default_that_no_pod_could_have_stops_the_injector(
    defaults: dict[str, str], words: str
) -> None:
    settings = InjectionSettings(image="i", version="1", defaults=defaults)
    (problem,) = settings.problems()
    assert problem.name == "sidecar_defaults"
    assert words in problem.text
    assert "s3cret" not in problem.text


def test_a_pod_that_copied_the_status_is_injected_all_the_same() -> None:
    pod = small_pod(status="{}")
    decision = decide(pod)
    assert isinstance(decision, Injected)
    assert decision.patch
    assert decision.warnings == ()


def test_guaranteed_stays_when_the_sidecar_is_too() -> None:
    pod = allowed("guaranteed_qos")
    memory = {f"tidegate.dev/memory-{kind}": "256Mi" for kind in ("request", "limit")}
    pod["metadata"]["annotations"] |= {"tidegate.dev/cpu-limit": "50m", **memory}
    assert decide(pod, SETTINGS) == Injected(decide(pod, SETTINGS).patch)  # type: ignore[union-attr]


def with_defaults(**defaults: str) -> InjectionSettings:
    keys = {key.replace("_", "-"): value for key, value in defaults.items()}
    return replace(SETTINGS, defaults={**SETTINGS.defaults, **keys})


@pytest.mark.parametrize("job_says", [{"backplane_stream": "reports"}, {"backplane": "memory"}])
def test_a_job_that_names_its_log_is_injected(job_says: dict[str, str]) -> None:
    pod = small_pod(**job_says)
    pod["metadata"]["ownerReferences"] = [{"kind": "Job", "name": "report-1", "controller": True}]
    assert isinstance(decide(pod), Injected)


@pytest.mark.parametrize(
    ("own", "defaults", "requests", "limits"),
    [
        ({}, {"cpu_limit": "40m"}, "40m", "40m"),
        ({"cpu_limit": "20m"}, {"cpu_request": "100m"}, "20m", "20m"),
        ({"cpu_request": "1"}, {"cpu_limit": "40m"}, "1", "1"),
        ({"cpu_request": "30m"}, {"cpu_limit": "40m"}, "30m", "40m"),
    ],
)
def test_what_the_cluster_says_gives_way_to_the_pod(
    own: dict[str, str], defaults: dict[str, str], requests: str, limits: str
) -> None:
    sidecar = sidecar_of(patched(small_pod(**own), with_defaults(**defaults)))
    resources = sidecar["resources"]
    assert (resources["requests"]["cpu"], resources["limits"]["cpu"]) == (requests, limits)


@pytest.mark.parametrize(
    ("own_s", "annotated", "default", "injected_s"),
    [(600, None, "45", 600), (10, None, "45", 45), (600, "45", None, 45), (600, "45", "90", 45)],
)
def test_only_the_pods_own_annotation_shortens_its_grace_period(
    own_s: int, annotated: str | None, default: str | None, injected_s: int
) -> None:
    pod = small_pod() if annotated is None else small_pod(grace_s=annotated)
    pod["spec"]["terminationGracePeriodSeconds"] = own_s
    settings = SETTINGS if default is None else with_defaults(grace_s=default)
    assert patched(pod, settings)["spec"]["terminationGracePeriodSeconds"] == injected_s


def test_a_clusters_reserve_denies_no_pod_with_a_short_grace_period() -> None:
    pod = small_pod()
    pod["spec"]["terminationGracePeriodSeconds"] = 10
    assert isinstance(decide(pod, with_defaults(reserve_s="20")), Injected)


@pytest.mark.parametrize(
    ("defaults", "words"),
    [
        ({"cpu_limit": "40m", "cpu_request": "80m"}, "cpu-request 80m is above"),
        ({"ring_bytes": "1073741824"}, "a ring of 1024 MiB does not fit"),
        ({"ring_bytes": "4096"}, "ring-bytes"),
        ({"port": "9000", "admin_port": "9000"}, "admin-port"),
    ],
)
def test_defaults_that_contradict_each_other_stop_the_injector(
    defaults: dict[str, str], words: str
) -> None:
    (problem,) = with_defaults(**defaults).problems()
    assert words in problem.text


def test_a_ring_above_the_memory_limit_is_warned_of() -> None:
    decision = decide(small_pod(memory_limit="128Mi"))
    assert isinstance(decision, Injected)
    assert "a ring of 64 MiB does not fit into a memory limit of 128Mi" in decision.warnings[0]
