"""AdmissionReview in, AdmissionReview out."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from injector.running import admission, pod

from tidegate.contract.errors import DocumentError
from tidegate.injection.settings import InjectionSettings
from tidegate_injector.review import Reviewed, review

SETTINGS = InjectionSettings(image="i", version="1", defaults={"backplane": "nats://n:4222"})


def decided(document: object) -> Reviewed:
    return review(document, SETTINGS, "a-token")


def test_a_pod_is_allowed_with_a_patch_and_warnings() -> None:
    reviewed = decided(admission(pod(heartbeat="1")))
    assert reviewed.decision == "injected"
    assert reviewed.answer["apiVersion"] == "admission.k8s.io/v1"
    response = reviewed.answer["response"]
    assert (response["uid"], response["allowed"]) == ("705ab4f5", True)
    assert response["patchType"] == "JSONPatch"
    patch = json.loads(base64.b64decode(response["patch"]))
    assert {"op": "add", "path": "/spec/initContainers", "value": []} in patch
    assert "shop_web" in json.dumps(patch)
    assert any("heartbeat-s" in warning for warning in response["warnings"])


def test_a_denial_says_what_to_change() -> None:
    reviewed = decided(admission(pod(port="80")))
    response = reviewed.answer["response"]
    assert reviewed.decision == "denied"
    assert response["allowed"] is False
    assert response["status"]["code"] == 403
    assert "tidegate.dev/port must be a whole number" in response["status"]["message"]
    assert "patch" not in response


@pytest.mark.parametrize(
    "request_fields",
    [{"operation": "UPDATE"}, {"kind": {"kind": "Deployment"}}, {"operation": "DELETE"}],
)
def test_anything_but_a_new_pod_passes_untouched(request_fields: dict[str, Any]) -> None:
    reviewed = decided(admission(pod(), **request_fields))
    assert reviewed.answer["response"] == {"uid": "705ab4f5", "allowed": True}
    assert reviewed.decision == "ignored"


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (None, ""),
        ([], ""),
        ({"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview"}, "apiVersion"),
        ({"apiVersion": "admission.k8s.io/v1", "kind": "Review"}, "kind"),
        ({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}, ""),
        (admission(pod(), uid=None), "uid"),
        (admission(pod(), object=None), "request.object"),
    ],
)
def test_what_is_no_review_is_named(document: object, field: str) -> None:
    with pytest.raises(DocumentError) as caught:
        decided(document)
    assert caught.value.field == field
