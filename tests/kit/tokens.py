"""Tokens that look like the kubelet's; their signature is any text."""

from __future__ import annotations

import base64
import json

AUDIENCE = "tidegate.dev"


def pod_token(uid: object, signature: str = "good", audience: object = AUDIENCE) -> str:
    """A token that claims to be of the pod `uid`."""
    claims = {"aud": audience, "kubernetes.io": {"pod": {"uid": uid}}}
    return f"{_part({'alg': 'RS256'})}.{_part(claims)}.{signature}"


def claims_of(token: str) -> tuple[str, str]:
    """Its pod's uid, and its signature."""
    _, claims, signature = token.split(".")
    padded = claims + "=" * (-len(claims) % 4)
    return json.loads(base64.urlsafe_b64decode(padded))["kubernetes.io"]["pod"]["uid"], signature


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
