"""The table of annotations agrees with the sidecar's own settings and with itself."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.pod_corpus import apply_patch, decide, small_pod

from tidegate.contract import env
from tidegate.injection.annotations import TABLE, Annotation
from tidegate.injection.checks import RESERVE_DEFAULT_S
from tidegate.injection.inject import Injected
from tidegate.injection.quantities import cpu, memory, parse_quantity

SIDECAR = {setting.name: setting for setting in SIDECAR_TABLE}
PASSED_ON = [a for a in TABLE if a.env is not None]
SAMPLES = (
    *("", "-1", "0", "0.05", "0.1", "0.5", "1", "2", "255", "600", "601", "1000", "3600", "3601"),
    *("4095", "4096", "86400", "86401", "1000000", "1000001", "3600000", "3600001", "10000001"),
    *("*", "https://a.example,http://b:3000", "https://a.example/", "null"),
    *("on", "off", "even", "fixed", "cut", "debug", "info", "x y", "abc", "nan", "inf", "1e3"),
)


def accepts(annotation: Annotation, text: str) -> bool:
    try:
        SIDECAR[annotation.env or ""].kind.parse(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("annotation", PASSED_ON, ids=lambda a: a.key)
def test_what_is_passed_on_the_sidecar_takes(annotation: Annotation) -> None:
    for text in SAMPLES:
        if annotation.kind.accepts(text):
            assert accepts(annotation, text), text
        elif text and not annotation.key.endswith("port") and annotation.key != "host":
            assert not accepts(annotation, text), text


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
    (annotation,) = [a for a in TABLE if a.key == "backplane"]
    assert annotation.kind.accepts(text) == allowed
    if allowed:
        SIDECAR[env.BACKPLANE].kind.parse(text)


def test_the_reserve_is_the_sidecars() -> None:
    assert float(SIDECAR[env.RESERVE_S].default) == RESERVE_DEFAULT_S


def test_defaults_are_allowed_and_keys_are_unique() -> None:
    assert len({a.key for a in TABLE}) == len(TABLE)
    for annotation in TABLE:
        assert annotation.default == "" or annotation.kind.accepts(annotation.default)
        assert annotation.help.endswith(".")
        assert annotation.full_key == f"tidegate.dev/{annotation.key}"


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


KEYS = st.sampled_from([a.key.replace("-", "_") for a in TABLE if a.key != "inject"])
VALUES = st.one_of(st.sampled_from(SAMPLES), st.text(string.printable, max_size=12))


@given(annotations=st.dictionaries(KEYS, VALUES, max_size=4))
def test_any_annotations_are_denied_or_injected_once(annotations: dict[str, str]) -> None:
    pod = small_pod(**annotations)
    decision = decide(pod)
    if isinstance(decision, Injected):
        assert decide(apply_patch(pod, decision.patch)) == Injected()
    else:
        assert "tidegate.dev/" in decision.reason
