import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.contract.errors import DocumentError
from tidegate.wire.http import LAST_CHUNK, frame, response_head, unframe


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=5))
def test_chunks_come_apart_again(bodies: list[bytes]) -> None:
    assert unframe(b"".join(map(frame, bodies)) + LAST_CHUNK) == b"".join(bodies)


@pytest.mark.parametrize("broken", [b"HTTP/1.1 200 OK\r\n", b"5\r\nabc\r\n", b"3\r\nabcde", b"3"])
def test_what_is_not_whole_chunks_is_refused(broken: bytes) -> None:
    with pytest.raises(DocumentError):
        unframe(broken)


def test_a_head_ends_with_a_blank_line() -> None:
    head = response_head(431, ((b"a", b"b"),))
    assert head == b"HTTP/1.1 431 Request Header Fields Too Large\r\na: b\r\n\r\n"
