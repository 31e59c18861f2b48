from __future__ import annotations

import pytest

from tidegate.auth.credentials import Credential, cut_tokens, find_credential, is_cross_site
from tidegate.contract.errors import CallerError

COOKIE = b"__Secure-tidegate"
BEARER = (b"authorization", b"Bearer abc")
IN_COOKIE = (b"cookie", b"a=b; __Secure-tidegate=xyz")


def test_the_first_present_decides() -> None:
    everything = [IN_COOKIE, BEARER]
    assert find_credential(everything, [b"q"], COOKIE) == Credential("header", b"abc")
    assert find_credential([IN_COOKIE], [b"q"], COOKIE) == Credential("cookie", b"xyz")
    assert find_credential([], [b"q"], COOKIE) == Credential("query", b"q")
    assert find_credential([(b"cookie", b"other=1")], [], COOKIE) is None
    # An empty one is present: it is refused later, and the cookie is not asked.
    assert find_credential([(b"authorization", b"bearer "), IN_COOKIE], [], COOKIE) == Credential(
        "header", b""
    )


def test_another_scheme_is_passed_over() -> None:
    basic = (b"authorization", b"Basic YTpi")
    assert find_credential([basic], [], COOKIE) is None
    assert find_credential([basic, IN_COOKIE], [], COOKIE) == Credential("cookie", b"xyz")


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([BEARER, BEARER], []),
        ([BEARER, (b"authorization", b"Basic x")], []),
        ([IN_COOKIE, IN_COOKIE], []),
        ([(b"cookie", b"__Secure-tidegate=a; __Secure-tidegate=b")], []),
        ([BEARER], [b"a", b"b"]),
    ],
)
def test_a_doubled_credential_is_a_mistake(
    headers: list[tuple[bytes, bytes]], query: list[bytes]
) -> None:
    with pytest.raises(CallerError) as caught:
        find_credential(headers, query, COOKIE)
    assert (caught.value.status, caught.value.code) == (400, "doubled_credential")


def test_a_credential_shows_no_token() -> None:
    assert "abc" not in repr(Credential("header", b"abc"))


@pytest.mark.parametrize(
    ("query", "rest", "tokens"),
    [
        (b"", b"", []),
        (b"topic=a%2Fb", b"topic=a%2Fb", []),
        (b"access_token=x", b"", [b"x"]),
        (b"topic=a&access_token=x&stream=s", b"topic=a&stream=s", [b"x"]),
        (b"access%5Ftoken=x&topic=a", b"topic=a", [b"x"]),
        (b"access_token=x&access_token=y", b"", [b"x", b"y"]),
        (b"access_token", b"", [b""]),
        (b"xaccess_token=1", b"xaccess_token=1", []),
    ],
)
def test_tokens_are_cut_from_the_query(query: bytes, rest: bytes, tokens: list[bytes]) -> None:
    assert cut_tokens(query) == (rest, tokens)


HOST = (b"host", b"feed.example")


@pytest.mark.parametrize(
    ("headers", "get", "post"),
    [
        ([], False, True),
        ([(b"sec-fetch-site", b"same-origin")], False, False),
        ([(b"sec-fetch-site", b"none")], False, False),
        ([(b"sec-fetch-site", b"same-site")], True, True),
        ([(b"sec-fetch-site", b"cross-site")], True, True),
        ([(b"origin", b"https://feed.example")], False, False),
        ([(b"origin", b"https://feed.example:443")], False, False),
        ([(b"origin", b"https://feed.example:8443")], True, True),
        ([(b"origin", b"https://app.example")], False, False),
        ([(b"origin", b"https://app.example"), (b"sec-fetch-site", b"cross-site")], False, False),
        ([(b"origin", b"https://evil.example")], True, True),
        ([(b"origin", b"https://evil.example"), (b"sec-fetch-site", b"same-origin")], True, True),
        ([(b"origin", b"null")], True, True),
        ([(b"origin", b"file://feed.example")], True, True),
        ([(b"origin", b"https://feed.example")] * 2, True, True),
    ],
)
def test_a_cookie_counts_only_on_requests_of_own_or_listed_pages(
    headers: list[tuple[bytes, bytes]], get: bool, post: bool
) -> None:
    listed = {b"https://app.example"}
    assert is_cross_site([HOST, *headers], "GET", listed) == get
    assert is_cross_site([HOST, *headers], "POST", listed) == post
