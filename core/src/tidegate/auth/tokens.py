"""The form of a token: a JWT as a compact JWS (RFC 7515, section 7.1), read strictly.

Everything that a forger may choose is refused here, before any cryptography: length, number of
segments, padding, header fields that point to a key or change the meaning of the signature, an
algorithm that is not on the list. Base64url must be canonical, or the same token would exist in
several spellings. JSON must name each member once and hold no NaN and no infinity.
"""

from __future__ import annotations

import json
import math
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from tidegate.auth.refusals import unverified

MAX_TOKEN_BYTES: Final = 4096
MAX_HEADER_BYTES: Final = 512
MAX_KID_LENGTH: Final = 256

ALGORITHMS: Final = frozenset(
    {
        *("HS256", "HS384", "HS512", "RS256", "RS384", "RS512"),
        *("PS256", "ES256", "ES384", "EdDSA"),
    }
)
"""RFC 7518, section 3.1, and RFC 8037. ``none`` is not one of them."""

_FORBIDDEN: Final = frozenset({"crit", "b64", "jku", "jwk", "x5u", "x5c", "zip", "enc"})
"""Header fields that name a key, change what is signed, or make it another kind of token."""

_BASE64URL: Final = re.compile(rb"[0-9A-Za-z_-]+")
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})


class TokenHeader(NamedTuple):
    """What the header says of the signature. It is not verified yet: it may only select keys."""

    alg: str
    kid: str | None


class CompactToken(NamedTuple):
    """A token in its parts; `payload` is raw JSON, `signing_input` what the signature is over."""

    header: TokenHeader
    payload: bytes
    signing_input: bytes
    signature: bytes


def split_token(token: bytes) -> tuple[bytes, bytes, bytes]:
    """The three segments; raises `CallerError`. The cheapest check, so it comes first."""
    if len(token) > MAX_TOKEN_BYTES or token.count(b".") != 2:
        raise unverified()
    header, payload, signature = token.split(b".")
    if not header or not payload or not signature or len(header) > MAX_HEADER_BYTES * 4 // 3 + 1:
        raise unverified()
    return header, payload, signature


def read_token(token: bytes, known: Mapping[bytes, TokenHeader]) -> CompactToken:
    """Read a token's form; raises `CallerError`, always the same one.

    `known` are headers by their segment that need not be read again: an issuer has very few.
    """
    header, payload, signature = split_token(token)
    return CompactToken(
        known.get(header) or read_header(header),
        _decode(payload),
        token[: len(header) + 1 + len(payload)],
        _decode(signature),
    )


def read_header(segment: bytes) -> TokenHeader:
    """Read the first segment; raises `CallerError`."""
    members = read_object(_decode(segment))
    alg, kid, kind = members.get("alg"), members.get("kid"), members.get("typ", "JWT")
    if not isinstance(alg, str) or alg not in ALGORITHMS or not _FORBIDDEN.isdisjoint(members):
        raise unverified()
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= MAX_KID_LENGTH):
        raise unverified()
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise unverified()
    return TokenHeader(alg, kid)


def read_object(text: bytes) -> Mapping[str, Any]:
    """A JSON object with each member once and finite numbers; raises `CallerError`."""
    try:
        value = _STRICT.decode(text.decode())
    except (ValueError, RecursionError):
        raise unverified() from None
    if not isinstance(value, dict):
        raise unverified()
    return value


def _decode(segment: bytes) -> bytes:
    """Unpadded base64url in its only spelling (RFC 7515, section 2).

    The decoder skips foreign characters and ignores the last bits that are no whole byte.
    """
    beyond = len(segment) % 4
    if _BASE64URL.fullmatch(segment) is None or beyond == 1:
        raise unverified()
    decoded = urlsafe_b64decode(segment + b"==="[: -beyond % 4])
    if beyond and urlsafe_b64encode(decoded[1 - beyond :])[:beyond] != segment[-beyond:]:
        raise unverified()
    return decoded


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _no_constant(_: str) -> float:
    raise ValueError("not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("too large")
    return value


# Making a decoder takes longer than reading a header with it.
_STRICT: Final = json.JSONDecoder(
    object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_finite
)
