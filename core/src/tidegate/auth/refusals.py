"""The refusals of authentication, a fixed list: code, status, and the challenge of RFC 6750.

A detail is one of our own sentences. Nothing of a token stands in any of them, and a caller cannot
learn from one whether a key is unknown or a signature wrong: both are `UNVERIFIED`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from tidegate.contract.errors import CallerError

RefusalCode = Literal[
    "missing_token",
    "invalid_token",
    "expired_token",
    "insufficient_scope",
    "wrong_subject",
    "cross_site",
    "doubled_credential",
]

_INVALID: Final = 'Bearer error="invalid_token"'
_SCOPE: Final = 'Bearer error="insufficient_scope"'


class _Answer(NamedTuple):
    status: int
    challenge: str | None


_ANSWERS: Final[Mapping[str, _Answer]] = {
    # RFC 6750, 3.1: a request without credentials gets a challenge without an error code.
    "missing_token": _Answer(401, "Bearer"),
    "invalid_token": _Answer(401, _INVALID),
    "expired_token": _Answer(401, _INVALID),
    "insufficient_scope": _Answer(403, _SCOPE),
    "wrong_subject": _Answer(403, _SCOPE),
    "cross_site": _Answer(403, None),
    "doubled_credential": _Answer(400, 'Bearer error="invalid_request"'),
}

UNVERIFIED: Final = "the token is malformed, or not signed by a known key"


def refusal(code: RefusalCode, detail: str, field: str | None = None) -> CallerError:
    """The error to raise; `detail` must hold nothing of the token."""
    return CallerError(code, detail, field, status=_ANSWERS[code].status)


def unverified() -> CallerError:
    """The one refusal of a token that cannot be believed, whatever is wrong with it."""
    return refusal("invalid_token", UNVERIFIED)


def challenge(error: CallerError) -> str | None:
    """The value of ``WWW-Authenticate`` that goes with `error`, if it is one of this list."""
    answer = _ANSWERS.get(error.code)
    return None if answer is None or answer.status != error.status else answer.challenge
