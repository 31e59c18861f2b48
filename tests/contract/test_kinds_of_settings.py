"""A setting's kind at its edges: the values that it takes, and its text for the others."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from tidegate.contract import kinds
from tidegate.contract.kinds import Kind

Make = Callable[[], Kind]
"""Kinds are made inside a test: what is made at import is out of reach of `bench.mutants`."""


def port() -> Kind:
    return kinds.integer(1, 65535, "ports")


def rate() -> Kind:
    return kinds.number(0.5, 10, "a second")


def address() -> Kind:
    return kinds.url("http", "https")


def choice() -> Kind:
    return kinds.choice("a", "b")


def word() -> Kind:
    return kinds.pattern("[a-z]{2,3}", "two or three letters")


@pytest.mark.parametrize(
    ("make", "text", "value"),
    [
        (port, "1", 1),
        (port, "65535", 65535),
        (rate, "0.5", 0.5),
        (rate, "10", 10.0),
        (lambda: kinds.switch(), "on", True),
        (lambda: kinds.switch(), "off", False),
        (lambda: kinds.choice("even", "cut"), "cut", "cut"),
        (word, "ab", "ab"),
        (lambda: kinds.names("[a-z]+", "words"), " a , b,,", ("a", "b")),
        (lambda: kinds.names("[a-z]+", "words"), "", ()),
        (lambda: kinds.texts(), '{"a": "b"}', {"a": "b"}),
        (address, "https://host:1/path", "https://host:1/path"),
        (address, "http://host", "http://host"),
        (lambda: kinds.several(address()), "http://a, https://b:2", "http://a, https://b:2"),
        (lambda: kinds.or_word("memory", address()), "memory", "memory"),
        (lambda: kinds.or_word("memory", address()), "http://a", "http://a"),
        (lambda: kinds.or_empty(port(), "none"), "", None),
        (lambda: kinds.or_empty(port(), "none", 7), "", 7),
        (lambda: kinds.or_empty(port(), "none"), "2", 2),
        (lambda: kinds.origins(), "https://a.example, http://b:3000", ("https://a.example", "http://b:3000")),
        (lambda: kinds.origins(), "http://b,http://b", ("http://b",)),
        (lambda: kinds.origins(), "*", ("*",)),
        (lambda: kinds.origins(), "http://a:65535", ("http://a:65535",)),
        (lambda: kinds.origins(), "http://a:443", ("http://a:443",)),
        (lambda: kinds.origins(), "http://[::1]:8080", ("http://[::1]:8080",)),
        (lambda: kinds.origins(), "app://local:80", ("app://local:80",)),
    ],
)  # fmt: skip
def test_a_text_at_the_edge_is_read(make: Make, text: str, value: Any) -> None:
    assert make().parse(text) == value
    assert make().accepts(text)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        *((port, text) for text in ("0", "65536", "1.5", "", "one")),
        *((rate, text) for text in ("0.49", "10.1", "nan", "inf", "-inf", "")),
        *((lambda: kinds.switch(), text) for text in ("", "ON", "o", "true")),
        (lambda: kinds.choice("even", "cut"), "eve"),
        *((word, text) for text in ("a", "abcd", "ab\n", "AB")),
        (lambda: kinds.names("[a-z]+", "words"), "a,B"),
        *(
            (lambda: kinds.texts(), text)
            for text in ("{", "[]", '"a"', '{"a": 1}', '{"a": "b", "c": 1}')
        ),
        *((address, text) for text in ("ftp://host", "http://", "host:1", "http://host:0")),
        *((address, text) for text in ("http://host:65536", "http://host:x")),
        (lambda: kinds.several(address()), "http://a,"),
        (lambda: kinds.or_word("memory", address()), "Memory"),
        (lambda: kinds.or_empty(port(), "none"), "0"),
        *(
            (lambda: kinds.origins(), text)
            for text in ("", "https://a.example/", "HTTPS://a.example")
        ),
        *(
            (lambda: kinds.origins(), text)
            for text in ("http://a:80", "https://a:443", "http://a:65536")
        ),
        *((lambda: kinds.origins(), text) for text in ("http://a,b", "null", "http://a:08")),
    ],
)
def test_a_text_beyond_the_edge_is_refused(make: Make, text: str) -> None:
    assert not make().accepts(text)


@pytest.mark.parametrize(
    ("make", "good", "bad"),
    [
        (port, [1, 65535], [0, 65536, "1", 1.5]),
        (rate, [0.5, 10], [0.4, 10.5, "1"]),
        (lambda: kinds.choice("even", "cut"), ["even", "cut"], ["off", 1]),
        (word, ["ab"], ["abcd", "xabx", 3]),
        (address, ["http://a", "https://a"], ["ftp://a", "x http://a", 1]),
        (lambda: kinds.or_word("memory", port()), ["memory", 1], ["other", 0]),
        (lambda: kinds.or_empty(port(), "none"), ["", 1], ["x", 0]),
        (lambda: kinds.texts(), ["{}"], [1]),
    ],
)
def test_the_schema_takes_the_same_values(make: Make, good: list[Any], bad: list[Any]) -> None:
    check = jsonschema.Draft202012Validator(json.loads(json.dumps(make().schema)))
    assert all(check.is_valid(value) for value in good)
    assert not any(check.is_valid(value) for value in bad)


@pytest.mark.parametrize(
    ("make", "text", "sentence"),
    [
        (port, "0", "must be a whole number from 1 to 65535 ports, not '0'"),
        (lambda: kinds.integer(0, 1), "2", "must be a whole number from 0 to 1, not '2'"),
        (rate, "0", "must be a number from 0.5 to 10 a second, not '0'"),
        (address, "x", "must be http://HOST:PORT or https://HOST:PORT, not 'x'"),
        (lambda: kinds.names("a", "as"), "b", "must be as separated by commas, or empty, not 'b'"),
        (lambda: kinds.or_empty(kinds.choice("a"), "x"), "c", "must be a, or empty (x), not 'c'"),
        (lambda: kinds.or_word("x", kinds.choice("a")), "c", "must be x or a, not 'c'"),
        (lambda: kinds.several(kinds.choice("a")), "", "must be a, several separated by commas"),
        (word, "", "must be two or three letters"),
        (lambda: kinds.secret(word()), "hunter2", "must be two or three letters"),
        (address, "ftp://me:hunter2@host", "must be http://HOST:PORT or https://HOST:PORT"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_range_and_shows_no_secret(
    make: Make, text: str, sentence: str
) -> None:
    assert make().refusal(text) == sentence


def test_a_refusal_repeats_only_the_beginning_of_a_long_value() -> None:
    shown = re.fullmatch(r"must be .*, not '(x+)'", word().refusal("x" * 5000))
    assert shown is not None
    assert len(shown[1]) == kinds.SHOWN_LENGTH


def test_a_kind_made_from_a_secret_one_is_secret() -> None:
    inner = kinds.secret(address())
    for kind in (kinds.several(inner), kinds.or_word("x", inner), kinds.or_empty(inner, "none")):
        assert kind.secret
    assert kinds.texts().secret
    assert not port().secret
