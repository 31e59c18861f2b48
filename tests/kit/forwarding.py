"""Passing bytes from one connection to another."""

from __future__ import annotations

import asyncio
import contextlib


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Write to `writer` all that comes from `reader`; close it at the end, or when one breaks."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
