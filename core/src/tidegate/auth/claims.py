"""The content of a token whose signature was verified: its claims, as far as they matter here.

Nothing here depends on the time, so what was read can be kept for the next request with the same
token; `rights` compares the times at each request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate.auth.refusals import refusal
from tidegate.auth.tokens import read_object
from tidegate.auth.topics import MAX_PATTERNS, TopicPatterns
from tidegate.contract.errors import CallerError
from tidegate.contract.names import is_client_id

MAX_LIFETIME_S: Final = 86_400.0
"""A stolen token ends within a day."""

_MOST_TIME: Final = 2.0**53
_SUBSCRIBE: Final = "subscribe"


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What a token must say: `audience` always, `issuer` where one is set (compared exactly).

    `claim` is the name of the member that holds the topics: ``{"subscribe": ["news", "a/*"]}``.
    """

    audience: str
    issuer: str | None = None
    claim: str = "tidegate"


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What a verified token says. Times are seconds since 1970; `None`: the token has no such one.

    `topics` are those that it allows beside the subject's own channel.
    """

    subject: str
    expires_at: float
    issued_at: float | None
    not_before: float | None
    topics: TopicPatterns


def read_facts(payload: bytes, rules: ClaimRules) -> TokenFacts:
    """Read the claims; raises `CallerError` that names the claim and never its value."""
    claims = read_object(payload)
    expires_at = _time(claims, "exp")
    if expires_at is None:
        raise _bad("exp", "is required: the time at which the token expires")
    issued_at = _time(claims, "iat")
    if issued_at is not None and expires_at - issued_at > MAX_LIFETIME_S:
        raise too_long()
    _check_audience(claims.get("aud"), rules.audience)
    if rules.issuer is not None and claims.get("iss") != rules.issuer:
        raise _bad("iss", "is not the issuer that is expected here")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not is_client_id(subject):
        raise _bad("sub", "must be a client id: 1 to 128 of 0-9 A-Z a-z . _ : @ ~ -")
    topics = _topics(claims.get(rules.claim), subject)
    return TokenFacts(subject, expires_at, issued_at, _time(claims, "nbf"), topics)


def too_long() -> CallerError:
    """The refusal of a token that lives longer than `MAX_LIFETIME_S`."""
    return _bad("exp", f"a token may live at most {MAX_LIFETIME_S / 3600:g} hours")


def _check_audience(claim: object, wanted: str) -> None:
    """RFC 7519, 4.1.3: one text or several, one of which must be ours."""
    named = claim if isinstance(claim, list) else [claim]
    if not any(isinstance(one, str) and one == wanted for one in named):
        raise _bad("aud", "is not the audience that is expected here")


def _topics(claim: object, subject: str) -> TopicPatterns:
    if claim is None:
        return TopicPatterns()
    listed = claim.get(_SUBSCRIBE, []) if isinstance(claim, dict) else None
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise _bad(_SUBSCRIBE, f"must be a list of up to {MAX_PATTERNS} topic patterns")
    try:
        return TopicPatterns(listed, subject)
    except ValueError as error:
        raise _bad(_SUBSCRIBE, str(error)) from None


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _bad(name, "must be a number: seconds since 1970")
    # Compared before anything else: an int may be too large to be made a float at all.
    if not 0 <= value <= _MOST_TIME:
        raise _bad(name, "must be a number: seconds since 1970")
    return float(value)


def _bad(claim: str, problem: str) -> CallerError:
    return refusal("invalid_token", f"{claim}: {problem}", claim)
