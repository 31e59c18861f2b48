"""The settings of authentication, each declared once (`contract.settings`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from tidegate.contract.kinds import choice, names, or_empty, pattern, switch, url
from tidegate.contract.settings import Problem, setting

AuthMode = Literal["off", "jwt"]

DEFAULT_COOKIE: Final = "__Secure-tidegate"
DEFAULT_CLAIM: Final = "tidegate"

_PATH = pattern(r"/[^\0]{1,4095}", "an absolute path")
_TEXT = r"[!-~]{1,256}"
_LETTERS = "[0-9A-Za-z._:@~-]"
_TOPIC_PATTERN = rf"(?=[^,]{{1,128}}$)(?:\*\*|(?:\*|{_LETTERS}+)(?:/(?:\*|{_LETTERS}*))*(?:/\*\*)?)"
"""As `tidegate.auth.topics` reads one, without a subject."""


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """Who may read streams and acknowledge events, see docs/authentication.md."""

    mode: AuthMode = setting(
        "off",
        choice("off", "jwt"),
        "jwt: streams and acknowledgements want a token. off: whatever reaches the port may read.",
        name="auth",
        annotation=True,
    )
    keys: str | None = setting(
        "",
        or_empty(_PATH, "no key files"),
        "Directory of the keys that verify tokens (PEM, JWK or JWK Set); read again when changed.",
        name="auth_keys",
    )
    jwks_url: str | None = setting(
        "",
        or_empty(url("https", "http"), "none"),
        "Where the issuer publishes its keys (a JWK Set): https, or http to loopback.",
        name="auth_jwks_url",
        annotation=True,
    )
    jwks_ca_file: str | None = setting(
        "",
        or_empty(_PATH, "the system's CAs"),
        "File of the CA that signs the certificate of TIDEGATE_AUTH_JWKS_URL.",
        name="auth_jwks_ca_file",
    )
    audience: str = setting(
        "",
        or_empty(pattern(_TEXT, "1 to 256 printable characters"), "none", ""),
        "The `aud` that a token must name, so that a token for another service opens no stream.",
        name="auth_audience",
        annotation=True,
    )
    issuer: str | None = setting(
        "",
        or_empty(pattern(_TEXT, "1 to 256 printable characters"), "any"),
        "The `iss` that a token must have, compared exactly.",
        name="auth_issuer",
        annotation=True,
    )
    claim: str = setting(
        DEFAULT_CLAIM,
        pattern(_TEXT, "1 to 256 printable characters"),
        "The claim that lists the topics of a token.",
        name="auth_claim",
        annotation=True,
    )
    cookie: str = setting(
        DEFAULT_COOKIE,
        pattern(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}", "a cookie's name"),
        "The cookie in which a page's token may come.",
        name="auth_cookie",
        annotation=True,
    )
    query: bool = setting(
        "off",
        switch(),
        "Whether a token may come as ?access_token=…, which proxies may write into their logs.",
        name="auth_query",
        annotation=True,
    )
    public_topics: tuple[str, ...] = setting(
        "",
        names(_TOPIC_PATTERN, "topics or patterns (a, a/*, a/**)"),
        "Topics that everybody may read, at /events without a token.",
        name="auth_public_topics",
        annotation=True,
    )

    def problems(self) -> Iterator[Problem]:
        """A mode that cannot work."""
        if self.mode == "jwt":
            if not self.audience:
                yield Problem("auth_audience", "is required where {} is jwt", ("auth",))
            if self.keys is None and self.jwks_url is None:
                text = "is required where {} is jwt, unless {} is set"
                yield Problem("auth_keys", text, ("auth", "auth_jwks_url"))
        if self.jwks_url is not None and not _is_private(self.jwks_url):
            yield Problem("auth_jwks_url", "must be https: over http anybody on the way adds keys")


def _is_private(address: str) -> bool:
    """Whether nobody on the way can change what is fetched."""
    parts = urlsplit(address)
    return parts.scheme == "https" or parts.hostname in ("127.0.0.1", "::1", "localhost")
