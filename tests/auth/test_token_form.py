from __future__ import annotations

import base64
import json

import pytest

from tidegate.auth.refusals import UNVERIFIED
from tidegate.auth.tokens import MAX_TOKEN_BYTES, read_token
from tidegate.contract.errors import CallerError


def encoded(text: bytes | str) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def token(header: object = None, payload: str = "{}", signature: bytes = b"sig") -> bytes:
    text = header if isinstance(header, str) else json.dumps(header or {"alg": "HS256"})
    return b".".join((encoded(text), encoded(payload), encoded(signature)))


def test_a_token_is_read_in_its_parts() -> None:
    read = read_token(token({"alg": "ES256", "kid": "a", "typ": "at+jwt"}, '{"sub":"1"}'), {})
    assert (read.header.alg, read.header.kid) == ("ES256", "a")
    assert (read.payload, read.signature) == (b'{"sub":"1"}', b"sig")
    assert (
        read.signing_input
        == token({"alg": "ES256", "kid": "a", "typ": "at+jwt"}, '{"sub":"1"}')[:-5]
    )


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"..",
        b"a.b",
        token() + b".x",
        token()[:-1] + b"=",
        token() + b"=",
        token().replace(b".", b"\n.", 1),
        # Three letters hold two bytes and two bits that nothing reads: c2l and c2k are the same.
        token(signature=b"si")[:-1] + b"l",
        token(payload="x" * MAX_TOKEN_BYTES),
        token({"alg": "HS256", "x": "y" * 600}),
        token({"alg": "none"}),
        token({"alg": "HS1"}),
        token({"alg": ["HS256"]}),
        token("{}"),
        token("[]"),
        token('{"alg":"HS256","alg":"none"}'),
        token('{"alg":"HS256","n":NaN}'),
        token('{"alg":"HS256","n":1e999}'),
        token('{"alg":"HS256","typ":"JOSE+JSON"}'),
        token('{"alg":"HS256","typ":1}'),
        token('{"alg":"HS256","kid":7}'),
        token('{"alg":"HS256","kid":""}'),
        token(b"\xff".decode("latin-1")),
        token("[" * 380),
        *(
            token({"alg": "HS256", name: "x"})
            for name in ("crit", "b64", "jku", "jwk", "x5u", "x5c", "zip", "enc")
        ),
    ],
)
def test_a_token_of_another_form_is_refused_with_one_answer(bad: bytes) -> None:
    with pytest.raises(CallerError) as caught:
        read_token(bad, {})
    error = caught.value
    assert (error.status, error.code, error.detail, error.field) == (
        401,
        "invalid_token",
        UNVERIFIED,
        None,
    )
