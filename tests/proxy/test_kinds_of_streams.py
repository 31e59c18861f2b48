"""Answers that must finish and streams that may be moved are told apart without configuration."""

from __future__ import annotations

import pytest
from proxy.shapes import SHAPES, Shape

from tidegate.proxy.heads import Request, Response, read_request, read_response
from tidegate.proxy.kinds import Learnt, Rules, asks_for_endless, kind_of


def request_of(shape: Shape, **more: str) -> Request:
    headers = {"Host": "a", "Accept": shape.asks} | more
    fields = [(name.encode(), value.encode()) for name, value in headers.items()]
    return read_request(shape.method.encode(), shape.path.encode(), "1.1", fields)


def response_of(shape: Shape) -> Response:
    fields = [(name.encode(), value.encode()) for name, value in shape.head.items()]
    return read_response(shape.status, b"OK", "1.1", fields, shape.method.encode())


def told(shape: Shape, learnt: Learnt, rules: Rules = Rules()) -> str:  # noqa: B008
    return kind_of(request_of(shape), response_of(shape), rules, learnt)


def test_the_corpus_is_told_apart() -> None:
    learnt = Learnt()
    for shape in SHAPES:
        if shape.method == "GET" and shape.last:  # the path's first stream has ended
            learnt.ended(request_of(shape).path, shape.last)
    wrong = [f"{s.name}: {told(s, learnt)}" for s in SHAPES if told(s, learnt) != s.expected]
    assert len(SHAPES) >= 60
    assert len(wrong) <= len(SHAPES) / 100, wrong


def test_an_answer_by_post_is_never_taken_for_endless_unseen() -> None:
    for shape in SHAPES:
        if shape.method != "GET" and "Tidegate-Stream" not in shape.head:
            assert told(shape, Learnt()) in ("plain", "finite"), shape.name


@pytest.mark.parametrize("shape", [s for s in SHAPES if s.expected == "endless"][:8])
def test_a_rule_makes_a_path_finite(shape: Shape) -> None:
    path = shape.path.partition("?")[0]
    assert told(shape, Learnt(), Rules((path,))) == "finite"
    assert told(shape, Learnt(), Rules((path[:2] + "*",))) == "finite"
    assert told(shape, Learnt(), Rules(("/other", path + "/x"))) == "endless"
    assert not asks_for_endless(request_of(shape), Rules((path,)), Learnt())


def test_what_a_client_says_counts_where_the_application_says_nothing() -> None:
    shape = next(s for s in SHAPES if s.name == "go net/http")
    request = request_of(shape, **{"Tidegate-Stream": "finite"})
    assert kind_of(request, response_of(shape), Rules(), Learnt()) == "finite"
    assert not asks_for_endless(request, Rules(), Learnt())
    other = shape._replace(head=shape.head | {"Tidegate-Stream": "endless"})
    assert kind_of(request, response_of(other), Rules(), Learnt()) == "endless"


def test_what_was_learnt_is_unlearnt_and_bounded() -> None:
    learnt = Learnt(most=2)
    learnt.ended(b"/a", b"data: [DONE]\n\n")
    assert learnt.is_finite(b"/a")
    learnt.ended(b"/a", b"data: tick\n\n")
    assert not learnt.is_finite(b"/a")
    for path in (b"/a", b"/b", b"/c"):
        learnt.ended(path, b"event: end\ndata: {}\n\n")
    assert [learnt.is_finite(p) for p in (b"/a", b"/b", b"/c")] == [False, True, True]
