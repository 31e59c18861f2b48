"""The one decision: what may a request do, given what its token says and the time."""

from __future__ import annotations

from typing import Final, NamedTuple

from tidegate.auth.claims import MAX_LIFETIME_S, TokenFacts, too_long
from tidegate.auth.refusals import refusal
from tidegate.auth.topics import TopicPatterns

LEEWAY_S: Final = 10.0
"""How far the clocks of issuer and pod may be apart: for `nbf` and `iat`, and the time after `exp`
by which the last byte of a stream has left."""


class Asked(NamedTuple):
    """What a request wants to read: its client's channel (``None``: none), and topics."""

    client: str | None
    topics: tuple[str, ...] = ()


class Rights(NamedTuple):
    """What was allowed: until `expires_at`, by a token that lives `lifetime_s` in all.

    Both in seconds, the first since 1970; both ``None`` without a token.
    """

    expires_at: float | None = None
    lifetime_s: float | None = None


UNLIMITED: Final = Rights()


def authorise(facts: TokenFacts | None, asked: Asked, now: float, public: TopicPatterns) -> Rights:
    """Compare what was `asked` with the verified token, ``None`` where the request has none.

    `now` is in seconds since 1970. `public` topics are for everybody, and without a token they are
    all that can be had: at least one, and not a client's channel. Raises `CallerError` (401, 403);
    of several topics one that is not allowed refuses the whole request.
    """
    if facts is None:
        if asked.client is None and asked.topics and all(map(public.allows, asked.topics)):
            return UNLIMITED
        raise refusal("missing_token", "send a token: Authorization: Bearer TOKEN, or the cookie")
    check_times(facts, now)
    if asked.client is not None and asked.client != facts.subject:
        raise refusal("wrong_subject", "the token is for another client id", "client_id")
    for topic in asked.topics:
        if not (facts.topics.allows(topic) or public.allows(topic)):
            raise refusal("insufficient_scope", f"the token does not allow {topic}", "topic")
    issued_at = now if facts.issued_at is None else min(facts.issued_at, now)
    return Rights(facts.expires_at, facts.expires_at - issued_at)


def check_times(facts: TokenFacts, now: float) -> None:
    """Raises `CallerError` where the token is not valid at `now`."""
    if now >= facts.expires_at:
        raise refusal("expired_token", "the token has expired", "exp")
    starts = max(facts.not_before or 0.0, facts.issued_at or 0.0)
    if starts > now + LEEWAY_S:
        raise refusal("invalid_token", "nbf, iat: the token is not valid yet", "nbf")
    if facts.issued_at is None and facts.expires_at - now > MAX_LIFETIME_S:
        raise too_long()
