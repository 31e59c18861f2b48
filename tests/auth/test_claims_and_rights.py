from __future__ import annotations

import json
from typing import Any

import pytest

from tidegate.auth.claims import ClaimRules, TokenFacts, read_facts
from tidegate.auth.rights import LEEWAY_S, Asked, Rights, authorise
from tidegate.auth.topics import TopicPatterns
from tidegate.contract.errors import CallerError

NOW = 1_800_000_000.0
RULES = ClaimRules("feed", "https://id.example")
GOOD = {"sub": "42", "aud": "feed", "iss": "https://id.example", "exp": NOW + 600, "iat": NOW}
NOBODY = TopicPatterns()


def facts(**claims: Any) -> TokenFacts:
    return read_facts(json.dumps({**GOOD, **claims}).encode(), RULES)


def refused(read: Any, *args: Any) -> tuple[int, str, str | None]:
    with pytest.raises(CallerError) as caught:
        read(*args)
    return caught.value.status, caught.value.code, caught.value.field


def test_good_claims_become_facts() -> None:
    read = facts(aud=["other", "feed"], nbf=NOW, tidegate={"subscribe": ["news", "u/{sub}/*"]})
    assert read == TokenFacts("42", NOW + 600, NOW, NOW, TopicPatterns(["news", "u/42/*"]))


WRONG_TIMES: list[Any] = [None, "99999999999", True, -1, 10**400, [1]]
WRONG_AUDIENCES: list[Any] = [None, "", "Feed", [], ["x"], {"feed": 1}, 1]
WRONG_ISSUERS: list[Any] = [None, "https://id.example/", ["https://id.example"]]
WRONG_SUBJECTS: list[Any] = [None, 42, "", "a/b", "..", "x" * 129, "*"]
WRONG_TOPICS: list[Any] = [
    *([], "news", {"subscribe": "news"}, {"subscribe": [1]}, {"subscribe": ["a*"]}),
    *({"subscribe": ["**/a"]}, {"subscribe": ["x" * 129]}, {"subscribe": ["a"] * 65}),
    *({"subscribe": [""]}, {"subscribe": ["ä"]}, {"subscribe": ["\ud800"]}),
]


@pytest.mark.parametrize(
    ("claims", "field"),
    [
        *(({"exp": bad}, "exp") for bad in WRONG_TIMES),
        ({"exp": NOW + 86_401}, "exp"),
        ({"iat": "x"}, "iat"),
        ({"nbf": False}, "nbf"),
        *(({"aud": bad}, "aud") for bad in WRONG_AUDIENCES),
        *(({"iss": bad}, "iss") for bad in WRONG_ISSUERS),
        *(({"sub": bad}, "sub") for bad in WRONG_SUBJECTS),
        *(({"tidegate": bad}, "subscribe") for bad in WRONG_TOPICS),
    ],
)
def test_a_claim_that_does_not_fit_is_named(claims: dict[str, Any], field: str) -> None:
    text = json.dumps({**GOOD, **claims})
    assert refused(read_facts, text.encode(), RULES) == (401, "invalid_token", field)
    for value in claims.values():
        with pytest.raises(CallerError) as caught:
            read_facts(text.encode(), RULES)
        if isinstance(value, str) and len(value) > 3:
            assert value not in caught.value.detail


def test_required_claims_may_not_be_left_out() -> None:
    for name in ("sub", "aud", "iss", "exp"):
        claims = {key: value for key, value in GOOD.items() if key != name}
        found = refused(read_facts, json.dumps(claims).encode(), RULES)
        assert found == (401, "invalid_token", name)


def test_a_doubled_claim_is_refused() -> None:
    text = json.dumps(GOOD)[:-1] + ', "sub": "7"}'
    assert refused(read_facts, text.encode(), RULES)[1] == "invalid_token"


def test_a_token_is_valid_until_exp_and_from_nbf_and_iat_with_leeway() -> None:
    token, own = facts(nbf=NOW), Asked("42")
    assert authorise(token, own, NOW - LEEWAY_S, NOBODY).expires_at == NOW + 600
    assert refused(authorise, token, own, NOW - LEEWAY_S - 1, NOBODY) == (
        401,
        "invalid_token",
        "nbf",
    )
    assert refused(authorise, facts(iat=NOW + 60), own, NOW, NOBODY)[2] == "nbf"
    assert authorise(token, own, NOW + 599.9, NOBODY) == Rights(NOW + 600, 600.0)
    assert refused(authorise, token, own, NOW + 600, NOBODY) == (401, "expired_token", "exp")


def test_without_iat_the_lifetime_counts_from_now() -> None:
    claims = {key: value for key, value in GOOD.items() if key != "iat"}
    token = read_facts(json.dumps(claims).encode(), RULES)
    assert authorise(token, Asked("42"), NOW + 100, NOBODY) == Rights(NOW + 600, 500.0)
    claims["exp"] = NOW + 86_500
    token = read_facts(json.dumps(claims).encode(), RULES)
    assert refused(authorise, token, Asked("42"), NOW, NOBODY) == (401, "invalid_token", "exp")


def test_the_subject_is_the_client_exactly() -> None:
    token = facts(sub="Ann")
    assert authorise(token, Asked("Ann"), NOW, NOBODY)
    for other in ("ann", "An", "Ann2"):
        assert refused(authorise, token, Asked(other), NOW, NOBODY) == (
            403,
            "wrong_subject",
            "client_id",
        )


def test_one_forbidden_topic_refuses_all_and_is_named() -> None:
    token = facts(tidegate={"subscribe": ["news"]})
    with pytest.raises(CallerError, match="does not allow secret") as caught:
        authorise(token, Asked("42", ("news", "secret")), NOW, NOBODY)
    assert (caught.value.status, caught.value.code) == (403, "insufficient_scope")
    assert refused(authorise, facts(), Asked("42", ("news",)), NOW, NOBODY)[0] == 403
    assert authorise(facts(), Asked("42", ("open",)), NOW, TopicPatterns(["open"]))


def test_without_a_token_only_public_topics_can_be_had() -> None:
    public = TopicPatterns(["open/**"])
    assert authorise(None, Asked(None, ("open/a",)), NOW, public) == Rights()
    for asked in (
        *(Asked(None), Asked(None, ("open/a", "x")), Asked("42", ("open/a",)), Asked("42")),
    ):
        assert refused(authorise, None, asked, NOW, public) == (401, "missing_token", None)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("news", ["news"], ["News", "news/a", "new"]),
        ("rooms/*", ["rooms/1", "rooms/"], ["rooms", "rooms/1/2", "room/1"]),
        ("*/log", ["a/log"], ["log", "a/b/log", "a/logs"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "b/a", "ab"]),
        ("a/*/**", ["a/b/c", "a/b/c/d"], ["a/b"]),
        ("**", ["a", "a/b"], []),
        ("u/{sub}", ["u/42"], ["u/4", "u/{sub}", "u/43"]),
        ("u-{sub}/*", ["u-42/x"], ["u-4/x"]),
    ],
)
def test_patterns(pattern: str, yes: list[str], no: list[str]) -> None:
    compiled = TopicPatterns([pattern], "42")
    assert all(map(compiled.allows, yes))
    assert not any(map(compiled.allows, no))


def test_braces_are_no_pattern_without_a_subject() -> None:
    with pytest.raises(ValueError, match="pattern"):
        TopicPatterns(["u/{sub}"])
