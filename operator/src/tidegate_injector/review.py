"""AdmissionReview v1 in, AdmissionReview v1 out.

https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/ . A
decision is always an answer with status 200: any other status the API server reports as a broken
webhook, without the sentence that names the fix.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, Final

from tidegate.contract.errors import CallerError, DocumentError
from tidegate.contract.fields import Fields
from tidegate.injection.inject import Denied, inject
from tidegate.injection.settings import InjectionSettings

API_VERSION: Final = "admission.k8s.io/v1"
KIND: Final = "AdmissionReview"
_DOCUMENT: Final = "AdmissionReview"

LOOK_BYTES: Final = 256
"""Where kind and version stand; the API server writes them first (``metav1.TypeMeta``)."""

_NOT_A_POD = (AttributeError, KeyError, TypeError, ValueError, ArithmeticError, RecursionError)


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The document to send back, a word for the metric, and which pod it was for the log."""

    answer: dict[str, Any]
    decision: str
    pod: str = ""


MAX_OBJECTS: Final = 100_000
"""Objects and lists of a review, together. 3 MiB of nothing else take 110 MB once parsed; the
256 KiB of annotations that a pod may have hold JSON with fewer."""


def check_before_parsing(body: bytes) -> None:
    """Raise `CallerError` for a body that is no review, by looks that cost nothing."""
    begin = body[:LOOK_BYTES].lstrip()
    if not (begin.startswith(b"{") and KIND.encode() in begin and API_VERSION.encode() in begin):
        raise CallerError("bad_review", f"must begin with kind {KIND} and apiVersion {API_VERSION}")
    if body.count(b"{") + body.count(b"[") > MAX_OBJECTS:
        raise CallerError("bad_review", f"at most {MAX_OBJECTS} objects and lists", status=413)


def review(document: object, settings: InjectionSettings, token: str) -> Reviewed:
    """Decide about the pod in `document`; raises `DocumentError` when it is no such review.

    `token` is fresh and random. Anything but a pod's creation is let through as it is.
    """
    fields = Fields(_DOCUMENT, document)
    fields.text("apiVersion", (API_VERSION,))
    fields.text("kind", (KIND,))
    request = fields.optional("request")
    asked = Fields(f"{_DOCUMENT}.request", request)
    uid = asked.text("uid")
    pod = asked.optional("object")
    kind = asked.optional("kind")
    named = kind.get("kind") if isinstance(kind, dict) else None
    if asked.optional("operation") != "CREATE" or named != "Pod":
        return Reviewed(_answer(uid, allowed=True), "ignored")
    if not isinstance(pod, dict):
        raise DocumentError(_DOCUMENT, "request.object", "must be a pod")
    namespace = str(asked.optional("namespace") or "default")
    try:
        decision = inject(pod, settings, namespace=namespace, token=token)
        metadata = pod.get("metadata") or {}
    except _NOT_A_POD as error:
        # The API server sends decoded pods; anything else can post whatever it likes.
        problem = f"is not a valid pod ({type(error).__name__})"
        raise DocumentError(_DOCUMENT, "request.object", problem) from None
    shown = f"{namespace}/{metadata.get('name') or metadata.get('generateName') or '?'}"
    if isinstance(decision, Denied):
        status = {"code": 403, "reason": "Forbidden", "message": f"tidegate: {decision.reason}"}
        return Reviewed(_answer(uid, allowed=False, status=status), "denied", shown)
    said: dict[str, Any] = {}
    if decision.patch:
        patch = json.dumps(decision.patch, separators=(",", ":")).encode()
        said |= {"patchType": "JSONPatch", "patch": base64.b64encode(patch).decode()}
    if decision.warnings:
        said["warnings"] = [f"tidegate: {warning}" for warning in decision.warnings]
    word = "injected" if decision.patch else "unchanged"
    return Reviewed(_answer(uid, allowed=True, **said), word, shown)


def _answer(uid: str, **response: Any) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": KIND, "response": {"uid": uid, **response}}
