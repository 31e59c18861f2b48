"""What the system does to a process: signals at any time, closed streams, no descriptors left."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from kit.sidecar_process import LIMIT_S, SidecarProcess
from kit.waiting import until

TIDEGATE = shutil.which("tidegate", path=os.path.dirname(sys.executable)) or "tidegate"

_FEW_DESCRIPTORS = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({0}, {0}))
from tidegate_sidecar.__main__ import main
sys.exit(main())
"""

PORTS = ("PUBLIC", "ADMIN", "PUBLISH", "WEBHOOK", "HEALTH", "REPORT")
ENVIRON = {"PATH": os.environ["PATH"], **{f"TIDEGATE_{port}_PORT": "0" for port in PORTS}}


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT], ids=lambda n: n.name)
async def test_a_signal_that_ends_says_goodbye_first(number: signal.Signals, loop: str) -> None:
    async with SidecarProcess(loop) as sidecar:
        stream = await sidecar.stream()
        sidecar.signal(number)
        assert b'"reason":"stopping"' in await stream.until_end()
        assert stream.is_complete
        assert await sidecar.exit_status() == 0


async def test_a_signal_that_means_nothing_ends_nothing() -> None:
    async with SidecarProcess() as sidecar:
        stream = await sidecar.stream()
        for name in ("SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGIO", "SIGPIPE"):
            sidecar.signal(getattr(signal, name))
        await sidecar.publish("still here")
        await stream.until(b"data: still here")


async def test_nohup_is_respected() -> None:
    sidecar = SidecarProcess()
    sidecar.argv = ["-c", f"import signal; signal.signal(1, signal.SIG_IGN)\n{_main('sidecar')}"]
    async with sidecar:
        stream = await sidecar.stream()
        sidecar.signal(signal.SIGHUP)
        await sidecar.publish("still here")
        await stream.until(b"data: still here")


@pytest.mark.parametrize("closed", ["1", "2", "12", "012"])
async def test_a_standard_stream_that_is_closed_ends_nothing(closed: str) -> None:
    """And no connection gets its number, where a log line would go to a client."""
    shell = "exec " + " ".join(f"{n}>&-" for n in closed) + f' "{TIDEGATE}" sidecar'
    with contextlib.closing(_free()) as free:
        admin = str(free.getsockname()[1])
    environ = {**ENVIRON, "TIDEGATE_ADMIN_PORT": admin, "TIDEGATE_HOST": "127.0.0.1"}
    async with started("sh", "-c", shell, environ=environ) as process:
        await until(lambda: _livez(int(admin)))
        targets = [os.readlink(f"/proc/{process.pid}/fd/{n}") for n in closed]
        assert targets == [os.devnull] * len(closed)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), LIMIT_S) == 0


async def test_a_reader_of_stdout_that_has_gone_ends_nothing() -> None:
    sidecar = SidecarProcess()
    read, write = os.pipe()
    os.close(read)
    with contextlib.closing(_free()) as free:
        sidecar.environ["TIDEGATE_ADMIN_PORT"] = admin = str(free.getsockname()[1])
    async with started(
        sys.executable, *sidecar.argv, environ=sidecar.environ, out=write
    ) as process:
        await until(lambda: _livez(int(admin)))
        process.terminate()
        assert await asyncio.wait_for(process.wait(), LIMIT_S) == 0
    await sidecar.http.aclose()


@pytest.mark.skipif(os.getuid() != 0, reason="a PID namespace needs root")
@pytest.mark.parametrize("name", ["sidecar", "operator", "injector"])
async def test_as_PID_1_SIGTERM_is_not_lost_while_the_program_loads(name: str) -> None:
    """Sent as soon as anything has a handler, which is before the first import that takes time."""
    unshare = ("unshare", "--pid", "--fork", "--kill-child")
    environ = {**ENVIRON, "TIDEGATE_SIDECAR_IMAGE": "x", "TIDEGATE_CERTIFICATE_NAMES": "x"}
    async with started(*unshare, TIDEGATE, name, environ=environ) as process:
        children = f"/proc/{process.pid}/task/{process.pid}/children"
        await until(lambda: _read(children).strip(), every_s=0.001)
        child = int(_read(children))
        await until(lambda: _catches(child, signal.SIGTERM), every_s=0.001)
        os.kill(child, signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), LIMIT_S) in (0, 128 + signal.SIGTERM)


def test_the_first_handler_waits_for_no_import() -> None:
    probe = (
        "import sys; before = {*sys.modules}\n"
        "import tidegate_cli.start, tidegate_process.signals\n"
        "print(*sorted({*sys.modules} - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, timeout=LIMIT_S, check=True
    )
    assert {"argparse", "importlib.metadata", "logging", "asyncio"}.isdisjoint(done.stdout.split())


@pytest.mark.parametrize("limit", [128, 256])
async def test_out_of_descriptors_the_pod_bounces_says_so_and_lives(limit: int) -> None:
    sidecar = SidecarProcess()
    sidecar.argv = ["-c", _FEW_DESCRIPTORS.format(limit)]
    async with sidecar:
        warned = json.loads(await asyncio.wait_for(sidecar.stderr.readline(), LIMIT_S))
        assert "TIDEGATE_MAX_STREAMS is 20000" in warned["message"]
        streams = [await sidecar.stream(read=False) for _ in range(limit)]
        first = await asyncio.gather(*(stream.more() for stream in streams), return_exceptions=True)
        bounced = [stream for stream in streams if b"overloaded" in stream.received]
        assert first.count(None) >= limit // 2
        assert bounced
        # Connections that ask for nothing take what the streams may not have.
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(limit):
                await stack.enter_async_context(_connection(sidecar.listening["public"]))
            async with asyncio.timeout(LIMIT_S):
                while b"out of file descriptors" not in await sidecar.stderr.readline():
                    assert sidecar.process.returncode is None
            assert (await sidecar.get("admin", "/livez")).status_code == 200
            assert (await sidecar.publish("still here")).status_code == 202
            await streams[0].until(b"data: still here")
            metrics = (await sidecar.get("admin", "/metrics")).text
        assert 'tidegate_port_refused_total{port="public",reason="descriptors"}' in metrics


async def test_a_scanner_does_not_flood_the_log() -> None:
    async with SidecarProcess() as sidecar:
        for port in ("public", "admin", "publish"):
            for _ in range(60):
                async with _connection(sidecar.listening[port]) as (_, writer):
                    writer.write(b"\x16\x03\x01\x00 not http\r\n\r\n")
        sidecar.signal()
        _, err = await asyncio.wait_for(sidecar.process.communicate(), LIMIT_S)
    assert len(err.splitlines()) < 40


@contextlib.asynccontextmanager
async def started(
    *argv: str, environ: dict[str, str], out: int = subprocess.DEVNULL
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *argv,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.DEVNULL,
    )
    if out >= 0:
        os.close(out)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _main(name: str) -> str:
    return f"import sys; from tidegate_{name}.__main__ import main; sys.exit(main())"


def _free() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


async def _livez(port: int) -> bool:
    try:
        async with _connection(port) as (reader, writer):
            writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            return b"200" in await reader.readline()
    except OSError:
        return False


@contextlib.asynccontextmanager
async def _connection(
    port: int,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()


def _catches(pid: int, number: int) -> bool:
    mask = next(x for x in _read(f"/proc/{pid}/status").splitlines() if x.startswith("SigCgt"))
    return bool(int(mask.split()[1], 16) >> (number - 1) & 1)
