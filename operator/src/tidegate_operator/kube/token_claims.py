"""A look at a token that costs nothing, before the API server is asked about it.

A projected token is a JWT that names its audience and its pod (Kubernetes, "Bound service account
tokens"). Nothing here is verified: whatever does not even claim to be such a token needs no review.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, Final

from tidegate.contract.kube import TOKEN_AUDIENCE

MAX_TOKEN_LENGTH: Final = 8192
"""Tokens of Kubernetes have about 1,000 to 2,000 characters, with the longest names 3,000."""

_JWT: Final = re.compile(r"[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+")
_MAX_UID_LENGTH: Final = 128


def claimed_pod_uid(token: str) -> str | None:
    """The uid of the pod that `token` claims to be of, ``None`` where it is no token for us."""
    found = _JWT.fullmatch(token) if len(token) <= MAX_TOKEN_LENGTH else None
    if found is None:
        return None
    claims = _decoded(found[1])
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if TOKEN_AUDIENCE not in audiences:
        return None
    uid = _within(_within(claims, "kubernetes.io"), "pod").get("uid")
    return uid if isinstance(uid, str) and 0 < len(uid) <= _MAX_UID_LENGTH else None


def _decoded(part: str) -> dict[str, Any]:
    try:
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _within(claims: dict[str, Any], name: str) -> dict[str, Any]:
    value = claims.get(name)
    return value if isinstance(value, dict) else {}
