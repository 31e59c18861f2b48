"""Whatever a pod carries, the injector patches it, denies it with a sentence, or lets it be."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from kit.documents import HOSTILE, TEXTS, spoilt
from kit.pod_corpus import SETTINGS

from tidegate.contract.errors import DocumentError
from tidegate.contract.kube import KEY_PREFIX
from tidegate.contract.settings import rows
from tidegate.contract.sidecar import SidecarSettings
from tidegate_injector.review import review

KEYS = [f"{KEY_PREFIX}{row.name.replace('_', '-')}" for row in rows(SidecarSettings)]
POD = {
    "metadata": {"name": "web", "annotations": {f"{KEY_PREFIX}inject": "true"}},
    "spec": {
        "terminationGracePeriodSeconds": 30,
        "containers": [{"name": "app", "image": "app:1", "ports": [{"containerPort": 8000}]}],
    },
}


def asked(pod: object) -> dict[str, Any]:
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "u",
            "operation": "CREATE",
            "namespace": "shop",
            "kind": {"kind": "Pod"},
            "object": pod,
        },
    }


@given(st.dictionaries(st.sampled_from(KEYS), TEXTS, max_size=4))
def test_hostile_annotations_get_an_answer(annotations: dict[str, str]) -> None:
    metadata = {"name": "web", "annotations": {f"{KEY_PREFIX}inject": "true", **annotations}}
    answer = review(asked({**POD, "metadata": metadata}), SETTINGS, "t" * 32)
    assert answer.decision in ("denied", "injected")


@given(spoilt(asked(POD)) | HOSTILE)
def test_hostile_reviews_get_an_answer(document: object) -> None:
    try:
        answer = review(document, SETTINGS, "t" * 32)
    except DocumentError:
        return
    json.dumps(answer.answer)
