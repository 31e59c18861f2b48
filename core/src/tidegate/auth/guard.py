"""The guard: asked by the door and by the acknowledgement port, so that no way in can differ.

It finds the credential, has its token verified and compares what was asked for with its rights. Two
answers are no refusals, because a native EventSource gives up on any status but 200: where the pod
itself cannot verify now, and where a page's cookie has expired, the client is *turned away* until
later. A page renews its cookie by itself, so it must find the stream alive when it has. A client
that sets a header gets the 401, which asks it for a new token; so does a token in a fixed URL,
which nothing renews.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from tidegate.auth.claims import TokenFacts
from tidegate.auth.credentials import (
    Credential,
    RawHeaders,
    cut_tokens,
    find_credential,
    is_cross_site,
)
from tidegate.auth.refusals import refusal
from tidegate.auth.rights import Asked, Rights, authorise
from tidegate.auth.topics import TopicPatterns
from tidegate.contract.auth_settings import AuthSettings
from tidegate.contract.errors import CallerError
from tidegate.contract.kinds import ANY_ORIGIN

RENEWABLE_S: Final = 86_400.0
"""How long after its end an expired cookie may still be renewed: a page is closed overnight."""

NotVerified = Literal["overloaded", "unavailable"]

Verify = Callable[[bytes], TokenFacts | NotVerified]
"""Gives the facts of a token, or why this pod cannot verify now; raises `CallerError`."""


class TurnedAway(NamedTuple):
    """The client is to come again."""

    reason: Literal["overloaded", "unavailable", "expired"]


class Screened(NamedTuple):
    """A request's credential, and its query without any token."""

    query: bytes
    credential: Credential | None


class Guard:
    """Decides who may read what.

    `listed` are the origins whose pages may send cookies from elsewhere, `verify` reads and
    verifies a token, `wall_clock` gives seconds since 1970.
    """

    def __init__(
        self,
        settings: AuthSettings,
        listed: tuple[str, ...],
        verify: Verify,
        wall_clock: Callable[[], float],
    ) -> None:
        self._cookie = settings.cookie.encode()
        self._takes_query = settings.query
        self._public = TopicPatterns(settings.public_topics)
        self._listed = frozenset(o.encode() for o in listed if o != ANY_ORIGIN)
        self._verify = verify
        self._wall_clock = wall_clock

    def screen(self, headers: RawHeaders, query: bytes) -> Screened:
        """Find the credential and take it out of the raw `query`, before anything keeps that.

        Raises `CallerError` where it stands twice.
        """
        query, tokens = cut_tokens(query)
        return Screened(
            query, find_credential(headers, tokens if self._takes_query else [], self._cookie)
        )

    def rights(
        self, credential: Credential | None, method: str, headers: RawHeaders, asked: Asked
    ) -> Rights | TurnedAway:
        """What the request may do. Raises `CallerError` (401, 403)."""
        now = self._wall_clock()
        if credential is None:
            return authorise(None, asked, now, self._public)
        by_cookie = credential.source == "cookie"
        if by_cookie and is_cross_site(headers, method, self._listed):
            detail = "a cookie counts only on requests of this origin's pages, or of listed ones"
            raise refusal("cross_site", detail, "origin")
        facts = self._verify(credential.token)
        if not isinstance(facts, TokenFacts):
            return TurnedAway(facts)
        try:
            return authorise(facts, asked, now, self._public)
        except CallerError as error:
            late_s = now - facts.expires_at
            streams = method in ("GET", "HEAD")
            if error.code == "expired_token" and by_cookie and streams and late_s < RENEWABLE_S:
                return TurnedAway("expired")
            raise
