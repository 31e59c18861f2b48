"""The allow-list: who may read, with what, and that nothing of a caller's gets into an answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.contract.kinds import origins
from tidegate.stream.cors import CorsPolicy, header_value

SHOP, DESK = b"https://shop.example", b"http://localhost:3000"
LISTED = CorsPolicy([SHOP.decode(), DESK.decode()])
ANYONE = CorsPolicy(["*"])
BOTH = CorsPolicy(["*", SHOP.decode()])

ORIGIN = b"access-control-allow-origin"
CREDENTIALS = b"access-control-allow-credentials"


def test_without_a_list_there_is_no_header_at_all() -> None:
    off = CorsPolicy()
    assert not off.is_on
    assert off.of(SHOP) == ()
    assert off.preflight(SHOP, b"") is None


def test_a_listed_origin_is_echoed_and_may_show_credentials() -> None:
    for origin in (SHOP, DESK):
        assert dict(LISTED.of(origin)) == {
            ORIGIN: origin,
            CREDENTIALS: b"true",
            b"access-control-expose-headers": b"Retry-After, WWW-Authenticate",
            b"vary": b"Origin",
        }


@pytest.mark.parametrize(
    "origin", [b"", b"null", b"https://shop.example.evil", b"https://SHOP.example", SHOP + b":443"]
)
def test_any_other_origin_gets_nothing_but_vary(origin: bytes) -> None:
    assert LISTED.of(origin) == ((b"vary", b"Origin"),)
    assert LISTED.preflight(origin, b"") is None


@pytest.mark.parametrize("origin", [b"", b"null", SHOP, b"\r\nx: y"])
def test_anyone_may_read_without_credentials_and_caches_may_share(origin: bytes) -> None:
    answer = dict(ANYONE.of(origin))
    assert answer[ORIGIN] == b"*"
    assert not {CREDENTIALS, b"vary"} & answer.keys()
    preflight = dict(ANYONE.preflight(origin, b"") or ())
    assert preflight[ORIGIN] == b"*"
    assert CREDENTIALS not in preflight


def test_a_listed_origin_among_all_keeps_its_credentials() -> None:
    assert dict(BOTH.of(SHOP))[CREDENTIALS] == b"true"
    assert dict(BOTH.of(DESK)) == {
        ORIGIN: b"*",
        b"access-control-expose-headers": b"Retry-After, WWW-Authenticate",
        b"vary": b"Origin",
    }


def test_a_preflight_lets_the_named_headers_through_by_name() -> None:
    answer = dict(LISTED.preflight(SHOP, b"authorization,last-event-id, x-tenant") or ())
    assert answer[b"access-control-allow-headers"] == b"authorization,last-event-id, x-tenant"
    assert answer[b"access-control-max-age"] == b"7200"
    assert b"GET" in answer[b"access-control-allow-methods"]
    assert b"Origin" in answer[b"vary"]


@pytest.mark.parametrize("wanted", [b"", b"*/*", b"a\r\nset-cookie: b", b"a,,b", b"x" * 1025])
def test_what_is_no_list_of_names_gets_the_usual_ones(wanted: bytes) -> None:
    answer = dict(LISTED.preflight(SHOP, wanted) or ())
    usual = answer[b"access-control-allow-headers"]
    assert usual == b"Last-Event-ID, Cache-Control, Authorization"


@given(origin=st.binary(max_size=60), wanted=st.binary(max_size=60))
def test_no_answer_holds_a_line_break(origin: bytes, wanted: bytes) -> None:
    for policy in (LISTED, ANYONE, BOTH):
        for _, value in (*policy.of(origin), *(policy.preflight(origin, wanted) or ())):
            assert not set(value) & set(b"\r\n\0")


def test_a_header_sent_twice_is_none() -> None:
    assert header_value([(b"origin", SHOP)], b"origin") == SHOP
    assert header_value([(b"origin", SHOP), (b"origin", SHOP)], b"origin") == b""
    assert header_value([], b"origin") == b""


@pytest.mark.parametrize(
    "text",
    [
        "https://shop.example",
        "http://localhost:3000",
        "https://shop.example:8443, http://[::1]:8080",
        "capacitor://localhost",
        "chrome-extension://abcdefghijklmnop",
        "*",
        "*,https://shop.example",
        "http://x:443,https://x:80",
    ],
)
def test_what_browsers_send_is_an_origin(text: str) -> None:
    assert origins().parse(text) == tuple(part.strip() for part in text.split(","))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "shop.example",
        "https://",
        "https://shop.example/",
        "https://shop.example/path",
        "https://Shop.example",
        "HTTPS://shop.example",
        "https://shop.example:443",
        "http://shop.example:80",
        "https://shop.example:0443",
        "https://shop.example:65536",
        "https://user@shop.example",
        "https://*.shop.example",
        "https://shöp.example",
        "https://a b",
        "https://a\r\nx: y",
        "https://a,",
        "*.*",
    ],
)
def test_what_no_browser_sends_is_refused(text: str) -> None:
    assert not origins().accepts(text)


def test_an_origin_given_twice_counts_once() -> None:
    assert origins().parse("https://a,https://a") == ("https://a",)
