"""A body that is passed on as it comes, and the head of an answer that is waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tidegate.proxy.bodies import Body, Chunked
from tidegate.proxy.heads import HEAD_END, Response, head_problem
from tidegate.wire.http import LAST_CHUNK, frame
from tidegate_sidecar.proxy.failures import bad_answer
from tidegate_sidecar.proxy.parsing import parse_response

ANSWER_HEAD_BYTES: Final = 64 * 1024
"""The most that an answer's head may take; applications send large cookies and policies."""


class Passing:
    """Passes `body` on, in chunks if the other side gets such (`frames`)."""

    __slots__ = ("_body", "_frames")

    def __init__(self, body: Body, *, frames: bool) -> None:
        self._body = body
        self._frames = frames

    @property
    def is_done(self) -> bool:
        """Whether the body has ended."""
        return self._body.is_done

    def feed(self, data: bytes, write: Callable[[bytes], None]) -> bytes:
        """Pass on what of `data` belongs to the body, by `write`; returns what is behind its end.

        Raises `DocumentError` for what is not a body.
        """
        body = self._body
        payload, rest = body.feed(data)
        if self._frames:
            if isinstance(body, Chunked) and body.is_whole:
                write(data)
            elif payload:
                write(frame(payload))
            if body.is_done:
                write(body.last_chunk if isinstance(body, Chunked) else LAST_CHUNK)
        elif payload:
            write(payload)
        return rest


class AnswerHead:
    """Collects the heads of the answer to a request with `method`."""

    __slots__ = ("_method", "_received")

    def __init__(self, method: bytes) -> None:
        self._method = method
        self._received = b""

    def feed(self, data: bytes) -> tuple[Response, bytes] | None:
        """The next head and what is behind it, once it is whole; may be an interim one (1xx).

        Raises `CallerError` (502) for what cannot be read.
        """
        self._received += data
        end = self._received.find(HEAD_END) + len(HEAD_END)
        if end >= len(HEAD_END):
            head, rest = self._received[:end], self._received[end:]
            self._received = b""
            return parse_response(head, self._method), rest
        wrong = head_problem(self._received)
        if len(self._received) > ANSWER_HEAD_BYTES:
            wrong = f"its head exceeds {ANSWER_HEAD_BYTES} bytes"
        if wrong is not None:
            raise bad_answer(wrong)
        return None
