"""The Python client's page names everything a user can set or be told, and its first lines run."""

import asyncio
import re
import sys
from pathlib import Path
from typing import get_args

import pytest
from client.scripted_server import event, scripted, stream

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


@pytest.mark.parametrize("number", [0, 1], ids=["async", "sync"])
async def test_the_first_lines_run_as_they_stand(number: int) -> None:
    snippet = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)[number]
    async with scripted(stream(event("e-1", "hello"))) as server:
        source = re.sub(r'"http://localhost:8080/[^"]*"', f'"{server.url}"', snippet)
        assert source != snippet
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-u", "-c", source, stdout=asyncio.subprocess.PIPE
        )
        assert program.stdout is not None
        try:
            assert await program.stdout.readline() == b"e-1 message hello\n"
        finally:
            program.kill()
            await program.wait()
