import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.contract.errors import SettingsError
from tidegate.wire.cursors import Cursor, ForeignCursor, check_epoch, parse_cursor

epochs = st.text("0123456789ABCabc._-", min_size=1, max_size=40)


@given(epochs, st.integers(0, 10**18))
def test_round_trip(epoch: str, seq: int) -> None:
    cursor = Cursor(check_epoch(epoch), seq)
    assert parse_cursor(str(cursor)) == cursor
    assert len(str(cursor)) <= 64


@pytest.mark.parametrize("text", [None, ""])
def test_absent(text: str | None) -> None:
    assert parse_cursor(text) is None


@pytest.mark.parametrize("text", ["42", "e-", "-1", "e-01", "e--1x", "e-1.5", "tx.9"])
def test_foreign_ids_are_told_back(text: str) -> None:
    assert parse_cursor(text) == ForeignCursor(text)


@pytest.mark.parametrize("text", ["a b-1", "é-1", "e-1\n", "x" * 65, '{"a":1}', "e-١"])
def test_unsafe_ids_are_not_repeated(text: str) -> None:
    assert parse_cursor(text) == ForeignCursor("")


@pytest.mark.parametrize("epoch", ["", "a b", "x" * 41, "é"])
def test_an_epoch_must_fit_into_an_id(epoch: str) -> None:
    with pytest.raises(SettingsError):
        check_epoch(epoch)
