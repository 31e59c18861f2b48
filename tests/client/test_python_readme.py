"""The Python client's page names everything a user can set or be told."""

from pathlib import Path
from typing import get_args

import pytest

from tidegate_client import LostReason, Settings, SseClientOptions, StopReason

README = Path(__file__).parents[2] / "clients" / "python" / "README.md"
FOR_TESTS = {"clock", "random"}


@pytest.mark.parametrize(
    "words",
    [
        Settings.__slots__,
        [*get_args(LostReason), *get_args(StopReason)],
        SseClientOptions.__annotations__.keys() - FOR_TESTS,
    ],
    ids=["settings", "reasons", "options"],
)
def test_it_is_on_the_page(words: list[str]) -> None:
    page = README.read_text()
    assert not [word for word in sorted(words) if f"`{word}`" not in page]
