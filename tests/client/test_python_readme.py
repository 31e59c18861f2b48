"""The Python client's page names everything a user can set or be told."""

import inspect
from pathlib import Path
from typing import get_args

import pytest

from tidegate_client import LostReason, Settings, SseClient, StopReason

README = Path(__file__).parents[2] / "clients" / "python" / "README.md"
FOR_TESTS = {"self", "url", "clock", "random"}


@pytest.mark.parametrize(
    "words",
    [
        Settings.__slots__,
        [*get_args(LostReason), *get_args(StopReason)],
        set(inspect.signature(SseClient.__init__).parameters) - FOR_TESTS,
    ],
    ids=["settings", "reasons", "options"],
)
def test_it_is_on_the_page(words: list[str]) -> None:
    page = README.read_text()
    assert not [word for word in sorted(words) if f"`{word}`" not in page]
