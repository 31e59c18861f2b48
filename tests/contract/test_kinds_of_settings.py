"""A setting's kind at its edges: the values that it takes, and its text for the others."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest

from tidegate.contract import kinds
from tidegate.contract.kinds import Kind

PORT = kinds.integer(1, 65535, "ports")
RATE = kinds.number(0.5, 10, "a second")
ADDRESS = kinds.url("http", "https")
WORD = kinds.pattern("[a-z]{2,3}", "two or three letters")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (PORT, "1", 1),
        (PORT, "65535", 65535),
        (RATE, "0.5", 0.5),
        (RATE, "10", 10.0),
        (kinds.switch(), "on", True),
        (kinds.switch(), "off", False),
        (kinds.choice("even", "cut"), "cut", "cut"),
        (WORD, "ab", "ab"),
        (kinds.names("[a-z]+", "words"), " a , b,,", ("a", "b")),
        (kinds.names("[a-z]+", "words"), "", ()),
        (kinds.texts(), '{"a": "b"}', {"a": "b"}),
        (ADDRESS, "https://host:1/path", "https://host:1/path"),
        (ADDRESS, "http://host", "http://host"),
        (kinds.several(ADDRESS), "http://a, https://b:2", "http://a, https://b:2"),
        (kinds.or_word("memory", ADDRESS), "memory", "memory"),
        (kinds.or_word("memory", ADDRESS), "http://a", "http://a"),
        (kinds.or_empty(PORT, "none"), "", None),
        (kinds.or_empty(PORT, "none", 7), "", 7),
        (kinds.or_empty(PORT, "none"), "2", 2),
        (kinds.origins(), "https://a.example, http://b:3000", ("https://a.example", "http://b:3000")),
        (kinds.origins(), "http://b,http://b", ("http://b",)),
        (kinds.origins(), "*", ("*",)),
        (kinds.origins(), "http://a:65535", ("http://a:65535",)),
        (kinds.origins(), "http://a:443", ("http://a:443",)),
        (kinds.origins(), "http://[::1]:8080", ("http://[::1]:8080",)),
        (kinds.origins(), "app://local:80", ("app://local:80",)),
    ],
)  # fmt: skip
def test_a_text_at_the_edge_is_read(kind: Kind, text: str, value: Any) -> None:
    assert kind.parse(text) == value
    assert kind.accepts(text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((PORT, text) for text in ("0", "65536", "1.5", "", "one")),
        *((RATE, text) for text in ("0.49", "10.1", "nan", "inf", "-inf", "")),
        *((kinds.switch(), text) for text in ("", "ON", "o", "true")),
        (kinds.choice("even", "cut"), "eve"),
        *((WORD, text) for text in ("a", "abcd", "ab\n", "AB")),
        (kinds.names("[a-z]+", "words"), "a,B"),
        *((kinds.texts(), text) for text in ("{", "[]", '"a"', '{"a": 1}', '{"a": "b", "c": 1}')),
        *((ADDRESS, text) for text in ("ftp://host", "http://", "host:1", "http://host:0")),
        *((ADDRESS, text) for text in ("http://host:65536", "http://host:x")),
        (kinds.several(ADDRESS), "http://a,"),
        (kinds.or_word("memory", ADDRESS), "Memory"),
        (kinds.or_empty(PORT, "none"), "0"),
        *((kinds.origins(), text) for text in ("", "https://a.example/", "HTTPS://a.example")),
        *((kinds.origins(), text) for text in ("http://a:80", "https://a:443", "http://a:65536")),
        *((kinds.origins(), text) for text in ("http://a,b", "null", "http://a:08")),
    ],
)
def test_a_text_beyond_the_edge_is_refused(kind: Kind, text: str) -> None:
    assert not kind.accepts(text)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (PORT, [1, 65535], [0, 65536, "1", 1.5]),
        (RATE, [0.5, 10], [0.4, 10.5, "1"]),
        (kinds.choice("even", "cut"), ["even", "cut"], ["off", 1]),
        (WORD, ["ab"], ["abcd", "xabx", 3]),
        (ADDRESS, ["http://a", "https://a"], ["ftp://a", "x http://a", 1]),
        (kinds.or_word("memory", PORT), ["memory", 1], ["other", 0]),
        (kinds.or_empty(PORT, "none"), ["", 1], ["x", 0]),
        (kinds.texts(), ["{}"], [1]),
    ],
)
def test_the_schema_takes_the_same_values(kind: Kind, good: list[Any], bad: list[Any]) -> None:
    check = jsonschema.Draft202012Validator(json.loads(json.dumps(kind.schema)))
    assert all(check.is_valid(value) for value in good)
    assert not any(check.is_valid(value) for value in bad)


@pytest.mark.parametrize(
    ("kind", "text", "sentence"),
    [
        (PORT, "0", "must be a whole number from 1 to 65535 ports, not '0'"),
        (kinds.integer(0, 1), "2", "must be a whole number from 0 to 1, not '2'"),
        (RATE, "0", "must be a number from 0.5 to 10 a second, not '0'"),
        (ADDRESS, "x", "must be http://HOST:PORT or https://HOST:PORT, not 'x'"),
        (kinds.or_empty(kinds.choice("a", "b"), "x"), "c", "must be a or b, or empty (x), not 'c'"),
        (kinds.or_word("memory", WORD), "c", "must be memory or two or three letters, not 'c'"),
        (kinds.several(kinds.choice("a")), "c", "must be a, several separated by commas, not 'c'"),
        (WORD, "", "must be two or three letters"),
        (kinds.secret(WORD), "hunter2", "must be two or three letters"),
        (ADDRESS, "ftp://me:hunter2@host", "must be http://HOST:PORT or https://HOST:PORT"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_range_and_shows_no_secret(
    kind: Kind, text: str, sentence: str
) -> None:
    assert kind.refusal(text) == sentence


def test_a_refusal_repeats_only_the_beginning_of_a_long_value() -> None:
    shown = re.fullmatch(r"must be .*, not '(x+)'", WORD.refusal("x" * 5000))
    assert shown is not None
    assert len(shown[1]) == kinds.SHOWN_LENGTH


def test_a_kind_made_from_a_secret_one_is_secret() -> None:
    inner = kinds.secret(ADDRESS)
    for kind in (kinds.several(inner), kinds.or_word("x", inner), kinds.or_empty(inner, "none")):
        assert kind.secret
    assert kinds.texts().secret
    assert not PORT.secret
