"""What stands against injection, with the text of the fix; and what is only worth a warning."""

from __future__ import annotations

from pathlib import Path

import pytest
from kit.pod_corpus import SETTINGS, allowed, decide, files, load, small_pod

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
    limits = {"tidegate.dev/cpu-limit": "50m", "tidegate.dev/memory-limit": "128Mi"}
    pod["metadata"]["annotations"] |= limits
    assert decide(pod, SETTINGS) == Injected(decide(pod, SETTINGS).patch)  # type: ignore[union-attr]
