"""The table of annotations agrees with the sidecar's own settings and with itself."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.pod_corpus import apply_patch, decide, small_pod

from tidegate.injection.annotations import ANNOTATIONS, PASSED_ON
from tidegate.injection.inject import Injected
from tidegate.injection.quantities import cpu, memory, parse_quantity

SAMPLES = (
    *("", "-1", "0", "0.05", "0.1", "0.5", "1", "2", "255", "600", "601", "1000", "3600", "3601"),
    *("4095", "4096", "86400", "86401", "1000000", "1000001", "3600000", "3600001", "10000001"),
    *("*", "https://a.example,http://b:3000", "https://a.example/", "null"),
    *("on", "off", "even", "fixed", "cut", "debug", "info", "x y", "abc", "nan", "inf", "1e3"),
)


@pytest.mark.parametrize("key", PASSED_ON)
def test_what_is_passed_on_the_sidecar_takes(key: str) -> None:
    for text in SAMPLES:
        if ANNOTATIONS[key].kind.accepts(text):
            assert PASSED_ON[key].kind.accepts(text), text


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("memory", True),
        ("nats://n:4222", True),
        ("tls://u:p@n", True),
        ("nats://a:1,nats://b:2", True),
        ("nats://a:1,", False),
        ("redis://n", False),
        ("nats://", False),
        ("", False),
    ],
)
def test_a_backplane_is_what_the_sidecar_connects_to(text: str, allowed: bool) -> None:
    assert ANNOTATIONS["backplane"].kind.accepts(text) == allowed
    assert PASSED_ON["backplane"].kind.accepts(text) == allowed


def test_defaults_are_allowed() -> None:
    for key, annotation in ANNOTATIONS.items():
        assert annotation.key == key
        assert annotation.default == "" or annotation.kind.accepts(annotation.default)
        assert annotation.help.endswith(".")


@pytest.mark.parametrize(
    ("text", "amount"),
    [("100m", "0.1"), ("2", "2"), ("0.5", "0.5"), ("1Ki", "1024"), ("3M", "3e6")],
)
def test_quantities(text: str, amount: str) -> None:
    assert float(parse_quantity(text)) == float(amount)


def test_each_resource_has_its_own_suffixes() -> None:
    assert [cpu().accepts(t) for t in ("100m", "1", "1Mi", "0", "m", "")] == [True, True] + [
        False
    ] * 4
    assert [memory().accepts(t) for t in ("1Gi", "5M", "100m", "-1", "1Ti")] == [True, True] + [
        False
    ] * 3


KEYS = st.sampled_from([key.replace("-", "_") for key in ANNOTATIONS if key != "inject"])
VALUES = st.one_of(st.sampled_from(SAMPLES), st.text(string.printable, max_size=12))


@given(annotations=st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_annotations_are_denied_or_injected_once(annotations: dict[str, str]) -> None:
    pod = small_pod(**annotations)
    decision = decide(pod)
    if isinstance(decision, Injected):
        assert decide(apply_patch(pod, decision.patch)) == Injected()
    else:
        assert "tidegate.dev/" in decision.reason
